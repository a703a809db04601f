"""What is checked wherever images come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.errors import InputError

from .errors import DataError

SPLITS = ("train", "test")
LARGEST_LABEL = 999_999


def check_split(split: str) -> None:
    """Raise InputError unless there is such a split."""
    if split not in SPLITS:
        raise InputError(f"split is {split!r}; it must be {' or '.join(SPLITS)}")


def check_integers(labels: NDArray[Any], classes: int | None, what: str) -> NDArray[np.int64]:
    """Labels [N] of any type of number as int64 [N].

    Raises:
        DataError: one is no integer, or none of 0 .. classes - 1 (0 .. LARGEST_LABEL where classes are not known); it
            names value and index.
    """
    limit = LARGEST_LABEL + 1 if classes is None else classes
    wrong = np.flatnonzero(~((labels >= 0) & (labels < limit) & (labels == np.floor(labels))))
    if labels.dtype.kind == "f" or len(wrong):
        index = int(wrong[0]) if len(wrong) else 0
        needed = f"labels are integers from 0 to {limit - 1:,}" + (f", for {classes} classes" if classes else "")
        kind = f" ({labels.dtype})" if labels.dtype.kind == "f" else ""
        raise DataError(f"{what}: label {index} is {labels[index]}{kind}; {needed}")
    return labels.astype(np.int64)
