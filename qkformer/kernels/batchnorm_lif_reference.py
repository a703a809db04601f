"""BatchNorm in evaluation mode and LIF, in plain PyTorch."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from .lif_reference import lif_reference, membrane_dtype


def scale_and_shift(norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor]:
    """BatchNorm in evaluation mode as x * scale + shift, both [C] float32 (float64 of a float64 module).

    scale = weight / sqrt(running_var + eps), shift = bias - running_mean * scale, each operation rounded.
    """
    values = cast("tuple[Tensor, ...]", (norm.weight, norm.bias, norm.running_mean, norm.running_var))  # all there
    weight, bias, mean, var = (value.to(membrane_dtype(value.dtype)) for value in values)
    scale = weight / torch.sqrt(var + norm.eps)
    return scale, bias - mean * scale


def batchnorm_lif_reference(
    x: Tensor, scale: Tensor, shift: Tensor, tau: float | None = 2.0, v_threshold: float = 1.0
) -> Tensor:
    """`kernels.batchnorm_lif` as a product, a sum and a loop over time."""
    per_channel = (-1, *[1] * (x.ndim - 3))
    normalized = x.to(membrane_dtype(x.dtype)) * scale.view(per_channel) + shift.view(per_channel)
    return lif_reference(normalized, tau, v_threshold).to(x.dtype)
