"""RandAugment with increasing magnitudes, a different operation for every image of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from hardware.errors import NotAvailableError

from .draws import Draws

INSTALL = 'RandAugment is computed by kornia: pip install "qkformer[train]"'
MAXIMUM = 10.0  # of the magnitude
PROBABILITY = 0.5  # of an operation being applied once it is chosen
# What each operation does at the greatest magnitude (timm 0.6, auto_augment.py, "increasing"):
ROTATION = math.radians(30)
SHEAR = 0.3
TRANSLATION = 0.45  # of the side
ENHANCEMENT = 0.9  # of the factor, away from 1
ADDITION = 110 / 255
POSTERIZED_BITS = 4
SMALLEST_FACTOR = 0.1


def rand_augment(
    images: Tensor, count: int, magnitude: float, deviation: float, draws: Draws, colour: Tensor
) -> Tensor:
    """Each image [b, C, H, W] in [0, 1] after `count` operations, each applied with probability 1/2.

    Cubuk et al. 2019, arXiv:1909.13719, in the form of timm's `rand-m9-mstd0.5-inc1`: 15 operations, all stronger with
    the magnitude, which is normal around `magnitude` and kept in 0 to 10; signs by a coin; drawn anew for each
    image. Geometric operations are bilinear, with `colour` [C or 1, 1, 1] beyond the border.

    Raises:
        NotAvailableError: kornia is not installed.
    """
    enhance = _kornia()
    operations = list(OPERATIONS.values())
    for _ in range(count):
        chosen = draws.below(len(operations))
        chosen[draws.uniform(0, 1) >= PROBABILITY] = len(operations)  # none
        level = draws.normal(magnitude, deviation).clamp(0, MAXIMUM) / MAXIMUM
        signed = torch.where(draws.uniform(0, 1) < 0.5, level, -level)
        images = images.clone()
        for number, operation in enumerate(operations):
            where = (chosen == number).nonzero().flatten()
            if len(where):
                there = where.to(images.device)
                result = operation(enhance, images[there], signed[where].to(images), colour)
                images[there] = result.clamp(0, 1).to(images.dtype)
    return images


def warp(images: Tensor, matrices: Tensor, colour: Tensor) -> Tensor:
    """Images [b, C, H, W] where each output point, in [-1, 1], shows the input at matrix [2, 3] times that point."""
    grid = F.affine_grid(matrices.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images - colour, grid, align_corners=False) + colour


def _kornia() -> ModuleType:
    try:
        import kornia.enhance
    except ImportError as error:
        raise NotAvailableError(INSTALL) from error
    return kornia.enhance


ImageOperation = Callable[[ModuleType, Tensor, Tensor, Tensor], Tensor]


def _geometric(matrix: Callable[[Tensor], list[list[Tensor | float]]]) -> ImageOperation:
    def operation(enhance: ModuleType, images: Tensor, signed: Tensor, colour: Tensor) -> Tensor:
        rows = [torch.stack([torch.zeros_like(signed) + entry for entry in row], dim=1) for row in matrix(signed)]
        return warp(images, torch.stack(rows, dim=1), colour)

    return operation


def _factor(signed: Tensor) -> Tensor:
    return (1 + ENHANCEMENT * signed).clamp(min=SMALLEST_FACTOR)


def _stretch(images: Tensor) -> Tensor:
    """Each channel's values spread over [0, 1]; a channel of one value stays."""
    low, high = images.amin((-2, -1), keepdim=True), images.amax((-2, -1), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


def _posterize(enhance: ModuleType, images: Tensor, level: Tensor) -> Tensor:
    return enhance.posterize(images, POSTERIZED_BITS - (level * POSTERIZED_BITS).int())


def _solarize(images: Tensor, level: Tensor) -> Tensor:
    threshold = (256 - (256 * level).floor())[:, None, None, None] / 255
    return torch.where(images >= threshold, 1 - images, images)


def _solarize_add(images: Tensor, level: Tensor) -> Tensor:
    return torch.where(images < 128 / 255, images + ADDITION * level[:, None, None, None], images)


# Pillow's operation of each name, from (kornia.enhance, images, magnitude in [-1, 1] with a random sign, colour).
# Shears keep the first row or column in place, rotations the middle.
OPERATIONS: dict[str, ImageOperation] = {
    "auto_contrast": lambda enhance, images, signed, colour: _stretch(images),
    "equalize": lambda enhance, images, signed, colour: enhance.equalize(images),
    "invert": lambda enhance, images, signed, colour: 1 - images,
    "rotate": _geometric(
        lambda v: [
            [(ROTATION * v).cos(), -(ROTATION * v).sin(), 0.0],
            [(ROTATION * v).sin(), (ROTATION * v).cos(), 0.0],
        ]
    ),
    "posterize": lambda enhance, images, signed, colour: _posterize(enhance, images, signed.abs()),
    "solarize": lambda enhance, images, signed, colour: _solarize(images, signed.abs()),
    "solarize_add": lambda enhance, images, signed, colour: _solarize_add(images, signed.abs()),
    "color": lambda enhance, images, signed, colour: enhance.adjust_saturation_with_gray_subtraction(
        images, _factor(signed)
    ),
    "contrast": lambda enhance, images, signed, colour: enhance.adjust_contrast_with_mean_subtraction(
        images, _factor(signed)
    ),
    "brightness": lambda enhance, images, signed, colour: enhance.adjust_brightness_accumulative(
        images, _factor(signed)
    ),
    "sharpness": lambda enhance, images, signed, colour: enhance.sharpness(images, _factor(signed)),
    "shear_x": _geometric(lambda v: [[1.0, SHEAR * v, SHEAR * v], [0.0, 1.0, 0.0]]),
    "shear_y": _geometric(lambda v: [[1.0, 0.0, 0.0], [SHEAR * v, 1.0, SHEAR * v]]),
    "translate_x": _geometric(lambda v: [[1.0, 0.0, 2 * TRANSLATION * v], [0.0, 1.0, 0.0]]),
    "translate_y": _geometric(lambda v: [[1.0, 0.0, 0.0], [0.0, 1.0, 2 * TRANSLATION * v]]),
}
