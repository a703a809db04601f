"""Light augmentation in plain PyTorch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MAXIMUM_ROTATION = math.radians(10)
MAXIMUM_STRETCH = 0.1  # of the size
MAXIMUM_SHIFT = 0.25  # of half the side: one pixel of eight


def random_affine(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [B, C, H, W] turned, stretched and shifted a little, bilinearly, with zeros beyond its border."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * limit

    angle, wide, high = uniform(MAXIMUM_ROTATION), 1 + uniform(MAXIMUM_STRETCH), 1 + uniform(MAXIMUM_STRETCH)
    rows = (
        torch.stack([wide * angle.cos(), -wide * angle.sin(), uniform(MAXIMUM_SHIFT)], dim=1),
        torch.stack([high * angle.sin(), high * angle.cos(), uniform(MAXIMUM_SHIFT)], dim=1),
    )
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
