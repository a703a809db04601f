"""Real handwritten digits, which come with scikit-learn: nothing to download."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..batches import Memory
from ..checks import SPLITS, check_split
from ..decode import check_channels
from ..errors import DataError
from ..image_data import ImageData
from ..source import Source, Wanted

DIGITS_MAXIMUM = 16.0  # scikit-learn's digits count black pixels in 4x4 cells
HELD_OUT = 5  # one image in five is for testing
SPLIT_SEED = 0


def load_digits(split: str) -> tuple[Tensor, Tensor]:
    """Real handwritten digits, 8x8 pixels: images float32 [N, 1, 8, 8] in [0, 1] and labels int64 [N].

    The 1,797 scans inside scikit-learn (UCI, Optical Recognition of Handwritten Digits, its test part). `test` is
    a fixed fifth of every class, 360 images in all; `train` is the other 1,437.

    Raises:
        InputError: a split that is neither `train` nor `test`.
    """
    check_split(split)
    import sklearn.datasets  # here, because it takes longer to import than all the rest

    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[by_class[::HELD_OUT]] = True
    chosen = held_out if split == "test" else ~held_out
    scaled = (images[chosen] / DIGITS_MAXIMUM).reshape(-1, 1, 8, 8).astype(np.float32)
    return torch.from_numpy(scaled), torch.from_numpy(labels[chosen].astype(np.int64))


class Digits(Source):
    """The digits of scikit-learn."""

    form: ClassVar[str] = "digits"

    @classmethod
    def recognizes(cls, text: str) -> bool:
        """Whether the text is their name."""
        return text == cls.form

    def open(self, wanted: Wanted, *, streaming: bool, show_progress: bool) -> ImageData:
        """In memory, as the counts 0 to 16 that they are."""
        splits = {}
        for split in SPLITS:
            images, labels = self.load(split, None, wanted)
            splits[split] = Memory((images * DIGITS_MAXIMUM).round().to(torch.uint8).contiguous(), labels)
        facts = {
            "channels": wanted.channels,
            "image_size": wanted.image_size,
            "order": "permutation",
            "fingerprint": [split.fingerprint() for split in splits.values()],
        }
        return ImageData(self.text, [str(digit) for digit in range(10)], **splits, scale=DIGITS_MAXIMUM, facts=facts)

    def load(self, split: str, count: int | None, wanted: Wanted) -> tuple[Tensor, Tensor]:
        """Of their own size, grey or, where RGB is wanted, three times the same."""
        channels = wanted.channels or 1
        check_channels(channels)
        images, labels = load_digits(split)
        side = images.shape[-1]
        if wanted.image_size not in (None, side):
            size = wanted.image_size
            raise DataError(f"data 'digits' is of {side}x{side} images; the model takes {size}x{size}")
        return images[:count].expand(-1, channels, -1, -1), labels[:count]
