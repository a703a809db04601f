"""Augmentation of batches, on the device they are on, drawn from a seed: the same seed gives the same batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hardware.errors import InputError

from ..data.seeds import seed_of
from ..models.schema import Integer, Number, Schema, check_fields
from .draws import Draws
from .rand_augment import rand_augment, warp

MAXIMUM_ROTATION = math.radians(10)
MAXIMUM_STRETCH = 0.1  # of the size
MAXIMUM_SHIFT = 0.25  # of half the side: one pixel of eight
ERASED_AREA = (0.02, 1 / 3)  # of the image, and
ERASED_ASPECT = (0.3, 1 / 0.3)  # height over width: Zhong et al. 2017, arXiv:1708.04896, with timm's largest area
ERASED_ATTEMPTS = 10
MOST_BORDER = 1024  # pixels: each batch is padded by it
MOST_OPERATIONS = 100  # one after the other; papers take 1 or 2
MOST_STRENGTH = 1e3  # of what is small: papers take at most 1


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a training batch; 0 leaves a part out. Applied in this order.

    Attributes:
        crop: pixels of border on each side, of which a window of the image's size is cut.
        flip: the probability of mirroring left and right.
        affine: turns up to 10 degrees, stretches up to 10 % and shifts up to an eighth of the side, times this.
        rand_augment: the number of RandAugment's operations tried on each image (see `rand_augment`).
        magnitude: theirs, of 10.
        magnitude_deviation: the standard deviation of the magnitude.
        mixup: alpha of Beta(alpha, alpha), the share of each image mixed with another (Zhang et al. 2017).
        cutmix: alpha likewise, of the area kept where a box of another is put in (Yun et al. 2019). With both, each
            batch gets one of them, by a coin.
        erasing: the probability of a rectangle being wiped out.

    Raises:
        InputError: a number out of its range.
    """

    crop: int = 0
    flip: float = 0.0
    affine: float = 0.0
    rand_augment: int = 0
    magnitude: float = 9.0
    magnitude_deviation: float = 0.5
    mixup: float = 0.0
    cutmix: float = 0.0
    erasing: float = 0.0

    SCHEMA: ClassVar[Schema] = {
        "crop": Integer(0, MOST_BORDER),
        "flip": Number(0, 1),
        "affine": Number(0, MOST_STRENGTH),
        "rand_augment": Integer(0, MOST_OPERATIONS),
        "magnitude": Number(0, 10),
        "magnitude_deviation": Number(0, MOST_STRENGTH),
        "mixup": Number(0, MOST_STRENGTH),
        "cutmix": Number(0, MOST_STRENGTH),
        "erasing": Number(0, 1),
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, InputError, "augmentation: ")

    def without_mixing(self) -> Augmentation:
        """The same without mixup and cutmix, as recipes have it in the last epochs."""
        return replace(self, mixup=0.0, cutmix=0.0)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: int,
        seed: Sequence[int],
        *,
        fill: float | Sequence[float] = 0.0,
        batch_size: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Augmented images [b, C, H, W] in [0, 1], and targets.

        Given the same `seed` and `batch_size`, an image is treated alike however many processes share the batch;
        only mixing takes its partners from the images of one process.

        Args:
            images: floats [b, C, H, W] in [0, 1], not yet normalized, on any device.
            labels: int64 [b].
            classes: their number.
            seed: the place in the run, such as (seed, epoch, step).
            fill: the colour beyond the border and of what is erased, for each channel: the mean of the data, which
                normalization makes 0.
            batch_size: the images of a whole global batch; those given if None.
            rank: this process.
            world: the number of processes, which take entries rank::world of the global batch.

        Returns:
            images, and the labels as they came or, where images are mixed, the share of each class [b, classes].

        Raises:
            NotAvailableError: RandAugment is on, and kornia not installed.
            InputError: more images than a share of `batch_size`.
        """
        draws = Draws(seed_of("augmentation", *seed), len(images), batch_size, rank, world)
        colour = torch.as_tensor(fill, dtype=images.dtype, device=images.device).reshape(-1, 1, 1)
        if self.crop:
            images = random_crop(images, self.crop, draws, colour)
        if self.flip:
            mirrored = (draws.uniform(0, 1) < self.flip).to(images.device)
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if self.affine:
            images = random_affine(images, self.affine, draws, colour)
        if self.rand_augment:
            images = rand_augment(images, self.rand_augment, self.magnitude, self.magnitude_deviation, draws, colour)
        targets = labels
        if self.mixup or self.cutmix:
            shares = F.one_hot(labels, classes).to(images.dtype)
            images, targets = mix(
                images, shares, self.mixup, self.cutmix, np.random.default_rng(seed_of("mixing", *seed))
            )
        if self.erasing:
            images = random_erasing(images, self.erasing, draws, colour)
        return images, targets


def random_crop(images: Tensor, border: int, draws: Draws, colour: Tensor) -> Tensor:
    """A window of each image [b, C, H, W] with a border of `colour`, of the image's size."""
    count, channels, height, width = images.shape
    padded = colour.expand(count, channels, height + 2 * border, width + 2 * border).clone()
    padded[..., border : border + height, border : border + width] = images
    offset = draws.below(2 * border + 1, 2).to(images.device)
    rows = offset[:, :1] + torch.arange(height, device=images.device)  # [b, H]
    columns = offset[:, 1:] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None, None]
    all_channels = torch.arange(channels, device=images.device)[:, None, None]
    return padded[each, all_channels, rows[:, None, :, None], columns[:, None, None, :]]


def random_affine(images: Tensor, strength: float, draws: Draws, colour: Tensor) -> Tensor:
    """Each image [b, C, H, W] turned, stretched and shifted a little, bilinearly, with `colour` beyond its border."""

    def uniform(limit: float) -> Tensor:
        return draws.uniform(-limit * strength, limit * strength)

    angle, wide, high = uniform(MAXIMUM_ROTATION), 1 + uniform(MAXIMUM_STRETCH), 1 + uniform(MAXIMUM_STRETCH)
    rows = (
        torch.stack([wide * angle.cos(), -wide * angle.sin(), uniform(MAXIMUM_SHIFT)], dim=1),
        torch.stack([high * angle.sin(), high * angle.cos(), uniform(MAXIMUM_SHIFT)], dim=1),
    )
    return warp(images, torch.stack(rows, dim=1), colour)


def mix(
    images: Tensor, shares: Tensor, mixup: float, cutmix: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Each image [b, C, H, W] and its classes' shares [b, classes] mixed with those of the batch reversed."""
    cuts = bool(cutmix) and (not mixup or generator.random() < 0.5)
    alpha = cutmix if cuts else mixup
    kept = generator.beta(alpha, alpha)
    if not cuts:
        return torch.lerp(images.flip(0), images, kept), torch.lerp(shares.flip(0), shares, kept)
    height, width = images.shape[-2:]
    top, bottom = _side(height, kept, generator)
    left, right = _side(width, kept, generator)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)  # what the border left of the box
    return mixed, torch.lerp(shares.flip(0), shares, kept)


def _side(size: int, kept: float, generator: np.random.Generator) -> tuple[int, int]:
    """One side of a box of area 1 - kept around a random point, cut at the border."""
    half = int(size * math.sqrt(1 - kept)) // 2
    middle = int(generator.integers(size))
    return max(middle - half, 0), min(middle + half, size)


def random_erasing(images: Tensor, probability: float, draws: Draws, colour: Tensor) -> Tensor:
    """Some images [b, C, H, W] with a rectangle of random area, aspect and place in one `colour`.

    Of ten rectangles the first that is smaller than the image is taken; where none is, nothing is erased.
    """
    height, width = images.shape[-2:]
    area = height * width * draws.uniform(*ERASED_AREA, ERASED_ATTEMPTS)
    aspect = draws.uniform(math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), ERASED_ATTEMPTS).exp()
    high, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (high < height) & (wide < width)
    first = fits.int().argmax(dim=1, keepdim=True)
    high, wide = high.gather(1, first), wide.gather(1, first)  # [b, 1]
    erased = (draws.uniform(0, 1) < probability)[:, None] & fits.any(dim=1, keepdim=True)
    top = (draws.uniform(0, 1, 1) * (height - high + 1)).floor()
    left = (draws.uniform(0, 1, 1) * (width - wide + 1)).floor()
    rows, columns = torch.arange(height), torch.arange(width)
    inside_rows = (rows >= top) & (rows < top + high) & erased  # [b, H]
    inside_columns = (columns >= left) & (columns < left + wide)
    inside = (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(images.device)
    return torch.where(inside, colour, images)
