"""One layer's integers: from a convolution and a float neuron to int8 weights and an integer threshold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hardware.chip import Chip
from qkformer import Neuron

from ..network.certificate import LayerCertificate
from ..network.stream import Stream
from .neuron import FixedNeuron

COARSEST = 4  # weights of fewer than a fourth of the levels cost accuracy: such a layer is checked as it runs instead


@dataclass(frozen=True)
class QuantizedLayer:
    """int8 weight [C_out, C_in, height, width], int32 bias [C_out], the neuron; least and largest W x + b."""

    weight: Tensor
    bias: Tensor
    neuron: FixedNeuron
    certificate: LayerCertificate
    low: int
    high: int


@dataclass(frozen=True)
class LayerQuantizer:
    """The finest scale at which a layer fits the chip's formats and is certified not to overflow.

    name, population: of the convolution and of its neuron. stream: what the convolution reads. compared: the currents
    are subtracted from each other (a max-pool), so the limit is half as high, and always kept.
    """

    name: str
    population: str
    neuron: Neuron
    stream: Stream
    time_steps: int
    compared: bool
    chip: Chip

    @torch.no_grad()
    def __call__(self, weight: Tensor, bias: Tensor) -> QuantizedLayer:
        """The integers of a weight [C_out, C_in, height, width] and bias [C_out], float64.

        If only weights coarser than a fourth of the chip's levels could be certified, the layer keeps its finest scale
        and its certificate says that it is not certified.
        """
        chip, neuron = self.chip, self.neuron
        weight = weight * self.stream.scale
        scale = max(
            weight.abs().max().item() / chip.largest_weight,
            bias.abs().max().item() / chip.largest_bias,
            neuron.v_threshold / neuron.input_gain / chip.threshold_range[1],
        )
        first = None
        while True:
            layer = self._at_scale(weight, bias, scale)
            first = first or layer
            certificate = layer.certificate
            if certificate.certified:
                return layer
            scale *= max(certificate.largest_value / certificate.limit, 1.001)
            if weight.abs().max().item() / scale < chip.largest_weight // COARSEST and not self.compared:
                return first

    def _at_scale(self, weight: Tensor, bias: Tensor, scale: float) -> QuantizedLayer:
        chip = self.chip
        fixed_weight = (weight / scale).round().clamp(-chip.largest_weight, chip.largest_weight)
        coarse = bias.abs().max().item() / scale > chip.bias_mantissa_range[1]
        step = chip.coarsest_bias_step if coarse else 1
        fixed_bias = ((bias / scale / step).round() * step).clamp(-chip.largest_bias, chip.largest_bias)
        fixed_neuron = FixedNeuron.of(self.neuron, scale, chip)
        low, high, bound = sum_bound(fixed_weight.flatten(1), fixed_bias, self.stream.low, self.stream.high)
        certificate = LayerCertificate(
            name=self.name,
            population=self.population,
            scale=scale,
            largest_weight=int(fixed_weight.abs().max()),
            largest_bias=int(fixed_bias.abs().max()),
            threshold=fixed_neuron.threshold,
            sum_bound=bound,
            membrane_bound=fixed_neuron.membrane_bound(low, high, self.time_steps, chip),
            limit=chip.sum_limit // 2 if self.compared else chip.sum_limit,
        )
        return QuantizedLayer(fixed_weight, fixed_bias, fixed_neuron, certificate, low, high)


def sum_bound(weight: Tensor, bias: Tensor, smallest: int, largest: int) -> tuple[int, int, int]:
    """Least and largest W x + b over outputs and inputs smallest .. largest, and the bound on |W x| and |W x + b|.

    weight: [outputs, inputs]; bias: [outputs].
    """
    positive, negative = weight.clamp(min=0).sum(1), weight.clamp(max=0).sum(1)
    high, low = positive * largest + negative * smallest, positive * smallest + negative * largest
    bound = max(x.abs().max().item() for x in (high, low, high + bias, low + bias))
    return int((low + bias).min()), int((high + bias).max()), int(bound)
