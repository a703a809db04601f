"""Images and labels to train on and to test with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

DIGITS_MAXIMUM = 16.0  # scikit-learn's digits count black pixels in 4x4 cells
HELD_OUT = 5  # one image in five is for testing
SPLIT_SEED = 0


def load_digits(split: str) -> tuple[Tensor, Tensor]:
    """Real handwritten digits, 8x8 pixels: images float32 [N, 1, 8, 8] in [0, 1] and labels int64 [N].

    The 1,797 scans inside scikit-learn (UCI, Optical Recognition of Handwritten Digits, its test part). `test` is
    a fixed fifth of every class, 360 images in all; `train` is the other 1,437.

    Raises:
        ValueError: a split that is neither `train` nor `test`.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it must be train or test")
    import sklearn.datasets  # here, because it takes longer to import than all the rest

    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[by_class[::HELD_OUT]] = True
    chosen = held_out if split == "test" else ~held_out
    scaled = (images[chosen] / DIGITS_MAXIMUM).reshape(-1, 1, 8, 8).astype(np.float32)
    return torch.from_numpy(scaled), torch.from_numpy(labels[chosen].astype(np.int64))


DATA_SETS: dict[str, Callable[[str], tuple[Tensor, Tensor]]] = {"digits": load_digits}


def load_data(name: str, split: str) -> tuple[Tensor, Tensor]:
    """Images and labels of a data set by name.

    Raises:
        ValueError: no such data set, or no such split.
    """
    if name not in DATA_SETS:
        raise ValueError(f"no data set is called {name!r}; there are {', '.join(DATA_SETS)}")
    return DATA_SETS[name](split)
