"""BatchNorm in eval mode folded into the convolution before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def fold(conv: nn.Conv1d | nn.Conv2d | nn.Linear, bn: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight [C_out, C_in, height, width] and bias [C_out], float64, of one convolution that equals bn(conv(x)).

    bn(y) = (y - running_mean) / sqrt(running_var + eps) * weight + bias. A Linear, or a Conv1d over tokens, is a
    1x1 convolution. Differentiable in the weights and biases of both. Raises ValueError if a folded number is NaN or
    infinite, or for a grouped convolution.
    """
    if getattr(conv, "groups", 1) != 1:
        raise ValueError(f"a convolution with {conv.groups} groups cannot be exported; use groups=1")
    gain = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    weight = conv.weight.double() * gain.view(-1, *[1] * (conv.weight.ndim - 1))
    bias = bn.bias.double() - bn.running_mean.double() * gain
    if conv.bias is not None:
        bias = bias + conv.bias.double() * gain
    while weight.ndim < 4:
        weight = weight.unsqueeze(-1)
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ValueError("a weight is NaN or infinite")
    return weight, bias
