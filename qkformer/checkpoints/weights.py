"""Whether the tensors of a file can be a model's weights: which ones, of which shape and type, and finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError
from .pickle_file import check_plain
from .state_dict import differences

# Of no other type is a value a weight: float8 needs a scale that is elsewhere, a complex one would lose its half.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int16, torch.int32, torch.int64)  # of the counters of BatchNorm
NEVER_NEGATIVE = ("running_var", "exp_avg_sq", "step")  # variances, and how often they were updated


def check_weights(
    path: str | Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str
) -> dict[str, Tensor]:
    """The tensors of a file in the types of a state dict; no value is changed by that.

    Args:
        path: the file, for the message.
        expected: the state dict of the model, perhaps on the device `meta`.
        found: what the file has.
        what: whose weights they are to be.

    Raises:
        CheckpointError: other keys, shapes or types, values that the model's type cannot hold, NaN or infinity, or a
            negative variance.
    """
    if problems := differences(expected, found):
        raise CheckpointError(f"{path} does not fit {what}: {problems}")
    return {key: _as(f"{path}: {key}", tensor, found[key]) for key, tensor in expected.items()}


def _as(name: str, expected: Tensor, found: Tensor) -> Tensor:
    check_plain(name, found)
    allowed = FLOATS if expected.dtype.is_floating_point else INTEGERS
    if found.dtype not in allowed:
        listed = ", ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
        raise CheckpointError(f"{name} is of type {found.dtype}; it must be one of {listed}".replace("torch.", ""))
    if found.dtype.is_floating_point and not bool(found.isfinite().all()):
        raise CheckpointError(f"{name} has {int(found.isfinite().logical_not().sum())} values that are NaN or infinite")
    if name.endswith(NEVER_NEGATIVE) and bool((found < 0).any()):
        raise CheckpointError(f"{name} is {float(found.min()):g} somewhere; it must be at least 0")
    converted = found.to(expected.dtype)
    if found.dtype == torch.float64 and not torch.equal(converted.double(), found):
        kind = str(expected.dtype).removeprefix("torch.")
        raise CheckpointError(f"{name} is float64, and {kind} cannot hold its values; round them to {kind} first")
    return converted
