"""BatchNorm in eval mode folded into the convolution before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hardware.errors import InputError

from ..network.layers import Size


def fold(conv: nn.Conv1d | nn.Conv2d | nn.Linear, bn: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight [C_out, C_in, height, width] and bias [C_out], float64, of one convolution that equals bn(conv(x)).

    bn(y) = (y - running_mean) / sqrt(running_var + eps) * weight + bias. A Linear, or a Conv1d over tokens, is a
    1x1 convolution. Differentiable in the weights and biases of both. Raises InputError if a folded value is NaN or
    infinite, for a grouped convolution, and for a BatchNorm without running statistics.
    """
    if getattr(conv, "groups", 1) != 1:
        raise InputError(f"a convolution with {conv.groups} groups cannot be exported; use groups=1")
    if bn.running_mean is None or bn.running_var is None:
        raise InputError("a BatchNorm without running statistics cannot be exported; use track_running_stats=True")
    gain = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    weight = conv.weight.double() * gain.view(-1, *[1] * (conv.weight.ndim - 1))
    bias = bn.bias.double() - bn.running_mean.double() * gain
    if conv.bias is not None:
        bias = bias + conv.bias.double() * gain
    while weight.ndim < 4:
        weight = weight.unsqueeze(-1)
    check_finite(weight, bias)
    return weight, bias


def check_finite(*tensors: Tensor) -> None:
    """Raise InputError where a weight or bias is NaN or infinite."""
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise InputError("a weight is NaN or infinite; train the model again with a smaller learning rate")


def geometry(conv: nn.Module) -> tuple[Size, Size]:
    """(stride, padding) of a convolution as (height, width); those of a Linear are those of a 1x1 convolution."""
    stride, padding = getattr(conv, "stride", 1), getattr(conv, "padding", 0)
    pairs = [(v, v) if isinstance(v, int) else (v[0], v[-1]) for v in (stride, padding)]
    return pairs[0], pairs[1]
