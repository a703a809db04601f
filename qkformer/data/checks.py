"""What is checked wherever images come from."""

from __future__ import annotations

from torch import Tensor

from hardware.errors import InputError

from .errors import DataError

SPLITS = ("train", "test")


def check_split(split: str) -> None:
    """Raise InputError unless there is such a split."""
    if split not in SPLITS:
        raise InputError(f"split is {split!r}; it must be {' or '.join(SPLITS)}")


def check_labels(labels: Tensor, classes: int | None, what: str) -> None:
    """Raise DataError unless labels int64 [N] are from 0 and, where the number of classes is known, below it."""
    wrong = labels[(labels < 0) | (labels >= (labels.max() + 1 if classes is None else classes))]
    if len(wrong):
        limit = "classes begin at 0" if classes is None else f"classes are 0 to {classes - 1}"
        raise DataError(f"{what}: a label is {int(wrong[0])}; {limit}")
