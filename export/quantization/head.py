"""The head's integers: int8 weights and an int32 bias whose sums are read, not fired."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hardware.chip import Chip

from ..network.certificate import LayerCertificate
from ..network.node_network import OUTPUT
from ..network.stream import Stream
from .layer import sum_bound


@dataclass(frozen=True)
class QuantizedHead:
    """int8 weight [classes, C] and int32 bias [classes] of the readout."""

    weight: Tensor
    bias: Tensor
    certificate: LayerCertificate


@torch.no_grad()
def quantize_head(name: str, weight: Tensor, bias: Tensor, stream: Stream, tokens: int, chip: Chip) -> QuantizedHead:
    """The integers of W (sum of x over tokens) + b, at the finest scale. weight [classes, C], bias [classes], float64.

    stream: what arrives at each token.
    """
    weight = weight * stream.scale
    largest_bias = bias.abs().max().item() / chip.message_limit
    scale = max(weight.abs().max().item() / chip.largest_weight or largest_bias, torch.finfo(torch.float32).tiny)
    fixed_weight = (weight / scale).round()
    fixed_bias = (bias / scale).round()
    _, _, bound = sum_bound(fixed_weight, fixed_bias, tokens * stream.low, tokens * stream.high)
    certificate = LayerCertificate(
        name=name,
        population=OUTPUT,
        scale=scale,
        largest_weight=int(fixed_weight.abs().max()),
        largest_bias=int(fixed_bias.abs().max()),
        threshold=None,
        sum_bound=bound,
        membrane_bound=None,
        limit=chip.message_limit,
    )
    return QuantizedHead(fixed_weight, fixed_bias, certificate)
