"""What is done to every image of a data set, in training and wherever else it is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .decode import as_mode, center_crop, check_channels, is_grey, pixels, random_resized_crop
from .errors import DataError
from .labelled_rows import LabelledRows
from .seeds import seed_of
from .share import Shuffle

PEEK = 64  # training images that decide whether all are taken as they are

Batch = tuple[Tensor, Tensor]  # images [b, C, H, W], uint8 or of the source's own scale, and labels int64 [b]


@dataclass(frozen=True)
class Preparation:
    """From a row to its pixels: decoded, and cropped by a seed or, for testing, in the middle."""

    rows: LabelledRows
    channels: int
    size: tuple[int, int]  # width and height; equal if it crops
    crops: bool  # or every image is of this size and taken as it is

    @classmethod
    def of(cls, rows: LabelledRows, channels: int | None, image_size: int | None) -> Preparation:
        """What brings images to a number of channels and a size, judged by the first training images.

        Without channels they stay grey or in colour, without a size they keep theirs.

        Raises:
            DataError: no training images, sizes that differ and are to be kept, or one size that is too small.
            InputError: another number of channels than 1 or 3.
        """
        if channels is not None:
            check_channels(channels)
        first = (image for image, _ in map(rows.decode, islice(rows.of("train"), PEEK)))
        seen = {(image.size, is_grey(image)) for image in first}
        if not seen:
            raise DataError(f"data {rows.name!r} has no training images")
        sizes = sorted({size for size, _ in seen})
        channels = channels or (1 if all(grey for _, grey in seen) else 3)
        if image_size is None:
            if len(sizes) > 1:
                raise DataError(f"data {rows.name!r} has images of {len(sizes)} sizes; choose the image_size of all")
            return cls(rows, channels, sizes[0], crops=False)
        width, height = sizes[0]
        if len(sizes) == 1 and min(width, height) < image_size:
            raise DataError(
                f"data {rows.name!r} is of {width}x{height} images; the model takes {image_size}x{image_size}: "
                "choose a configuration of that image_size, or enlarge the images"
            )
        wanted = (image_size, image_size)
        return cls(rows, channels, wanted, crops=sizes != [wanted])

    def pixels(self, row: dict[str, Any], seed: int | None) -> tuple[NDArray[np.uint8], int]:
        """uint8 [C, H, W] and label; without a seed nothing is random."""
        image, label = self.rows.decode(row)
        image = as_mode(image, self.channels, self.rows.describe(row))
        if not self.crops and image.size != self.size:
            width, height = self.size
            raise DataError(
                f"data {self.rows.name!r} holds images of {image.width}x{image.height} among those of "
                f"{width}x{height}, which are taken as they are; bring all to one size"
            )
        if self.crops and seed is None:
            image = center_crop(image, self.size[0])
        elif self.crops:
            image = random_resized_crop(image, self.size[0], np.random.default_rng(seed))
        return pixels(image), label

    def batch(self, rows: Iterable[dict[str, Any]], positions: range, shuffle: Shuffle | None) -> Batch:
        """A batch of rows that lie at `positions` of the order."""
        seeds = [None if shuffle is None else seed_of("crop", *shuffle, position) for position in positions]
        images, labels = zip(*map(self.pixels, rows, seeds), strict=True)
        return torch.from_numpy(np.stack(images)), torch.tensor(labels)
