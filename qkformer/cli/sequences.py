"""Inputs of networks that are not fed with images: an array of an .npz file, in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardware.errors import InputError

from ..data.npz_file import array_names, list_names, read_array

ARRAY = "inputs"
MOST_TIME_STEPS = 1_000_000


def load_sequences(path: Path, shape: tuple[int, ...], time_steps: int | None) -> np.ndarray:
    """Inputs [T, B, *shape] of an .npz file: its array `inputs`, or its only one.

    time_steps: of [T, B, *shape] the first so many are taken; [B, *shape] is shown at each of them. Raises InputError
    and DataError for a file without such an array.
    """
    names = array_names(path)
    name = ARRAY if ARRAY in names else names[0] if len(names) == 1 else None
    if name is None:
        raise InputError(f"{path}: has {list_names(names)}; an array called '{ARRAY}' is needed")
    values, _ = read_array(path, name)
    if time_steps is not None and not 1 <= time_steps <= MOST_TIME_STEPS:
        raise InputError(f"--time-steps is {time_steps}; 1 to {MOST_TIME_STEPS:,} are possible")
    if values.shape[2:] == shape and values.ndim == len(shape) + 2:
        if time_steps is not None and time_steps > len(values):
            raise InputError(f"{path}: '{name}' has {len(values)} time steps, and --time-steps asks for {time_steps}")
        return values[:time_steps]
    if values.shape[1:] == shape and values.ndim == len(shape) + 1:
        if time_steps is None:
            raise InputError(f"{path}: '{name}' is {list(values.shape)}, without time; say how long with --time-steps")
        return np.repeat(values[None], time_steps, axis=0)
    wanted = ", ".join(map(str, shape))
    raise InputError(f"{path}: '{name}' is {list(values.shape)}; [T, B, {wanted}] or [B, {wanted}] is needed")
