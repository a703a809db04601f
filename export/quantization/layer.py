"""One layer's numbers: from a folded convolution and a float neuron to int8 weights and an integer threshold.

With v <- decay * v + gain * x and spike iff v >= v_threshold in the float model, the membrane in units of the
layer's scale s is V = v / (gain * s): then V <- decay * V + x / s, and the threshold is v_threshold / (gain * s).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hardware.chip.fixed_point import (
    BIAS_EXPONENT_RANGE,
    BIAS_MANTISSA_RANGE,
    DECAY_UNITY,
    FRACTION_BITS,
    MESSAGE_LIMIT,
    SUM_LIMIT,
    THRESHOLD_RANGE,
)
from qkformer import Neuron

from .certificate import LayerCertificate

WEIGHT_MAX = 127
BIAS_STEP_MAX = 1 << (BIAS_EXPONENT_RANGE[1] - FRACTION_BITS)
BIAS_MAX = BIAS_MANTISSA_RANGE[1] * BIAS_STEP_MAX
COARSEST_WEIGHT_MAX = 31  # coarser weights cost accuracy: such a layer is checked as it runs instead
ATTENTION_EXPONENT_MAX = 5


@dataclass(frozen=True)
class FixedNeuron:
    """decay in 1/4096 and threshold of a neuron whose inputs are in units of some scale."""

    decay: int
    threshold: int

    @classmethod
    def of(cls, neuron: Neuron, scale: float) -> FixedNeuron:
        """threshold = ceil(v_threshold / (gain * scale)) - 1, as the integer neuron compares with >, not >=."""
        decay = round((1.0 - neuron.decay) * DECAY_UNITY)
        # A quotient that is a whole number but for rounding must not be lifted to the next.
        return cls(decay, math.ceil(neuron.v_threshold / (neuron.input_gain * scale) - 1e-9) - 1)


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
class QuantizedAttention:
    """The power of two on the product of self-attention, and the neuron that reads it."""

    factor: int
    neuron: FixedNeuron
    certificate: LayerCertificate


@torch.no_grad()
def quantize_layer(
    name: str,
    population: str,
    weight: Tensor,
    bias: Tensor,
    neuron: Neuron,
    *,
    input_range: tuple[int, int],
    input_scale: float,
    time_steps: int,
    compared: bool = False,
) -> QuantizedLayer:
    """The finest scale at which the layer fits Loihi's formats and is certified not to overflow.

    weight, bias: folded, float64. input_range: least and largest value that can arrive at a synapse;
    input_scale: what an input of 1 is worth. If only weights coarser than 31 levels a side could be certified,
    the layer keeps its finest scale and its certificate says that it is not certified. compared: the currents are
    subtracted from each other (a max-pool), so the limit is half as high, and always kept.
    """
    limit = SUM_LIMIT // 2 if compared else SUM_LIMIT
    weight = weight * input_scale
    finest = max(
        weight.abs().max().item() / WEIGHT_MAX,
        bias.abs().max().item() / BIAS_MAX,
        neuron.v_threshold / neuron.input_gain / THRESHOLD_RANGE[1],
    )
    scale, first = finest, None
    while True:
        layer = _at_scale(name, population, weight, bias, neuron, scale, input_range, time_steps, limit)
        first = first or layer
        certificate = layer.certificate
        if certificate.certified:
            return layer
        excess = max(certificate.sum_bound, certificate.membrane_bound) / certificate.limit
        scale *= max(excess, 1.001)
        if weight.abs().max().item() / scale < COARSEST_WEIGHT_MAX and not compared:
            return first


def quantize_attention(
    name: str, population: str, neuron: Neuron, attention_scale: float, largest: int, time_steps: int
) -> QuantizedAttention:
    """Self-attention's integer S = Q K^T V (at most `largest`) times 2^k, and its neuron in those units.

    With tau = 2 and k = T - 1 every membrane is a whole number and the neuron equals the float one exactly; k is at
    most 5, and less if the certificate asks for it. attention_scale: the factor on S in the float model.
    """
    for exponent in range(min(time_steps - 1, ATTENTION_EXPONENT_MAX), -1, -1):
        fixed = FixedNeuron.of(neuron, attention_scale / 2**exponent)
        bound = largest << exponent
        membrane = _membrane_bound(0, bound, fixed, time_steps)
        scale = attention_scale / 2**exponent
        certificate = LayerCertificate(
            name, population, scale, 1 << exponent, 0, fixed.threshold, bound, membrane, SUM_LIMIT
        )
        if certificate.certified:
            break
    return QuantizedAttention(1 << exponent, fixed, certificate)


@torch.no_grad()
def quantize_head(name: str, weight: Tensor, bias: Tensor, tokens: int, input_range: tuple[int, int]):
    """int8 weight [classes, C] and int32 bias of the readout, and its certificate.

    The head of the float model sees means over tokens; the readout sums, so its bias counts `tokens` times.
    """
    weight, bias = weight.double(), bias.double()
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ValueError("a weight is NaN or infinite")
    scale = max(weight.abs().max().item() / WEIGHT_MAX, torch.finfo(torch.float64).tiny)
    fixed_weight = (weight / scale).round()
    fixed_bias = (bias * tokens / scale).round()
    low, high = (tokens * value for value in input_range)
    bound = _sum_bound(fixed_weight, fixed_bias, (low, high))[2]
    certificate = LayerCertificate(
        name,
        "output",
        scale,
        int(fixed_weight.abs().max()),
        int(fixed_bias.abs().max()),
        None,
        bound,
        None,
        MESSAGE_LIMIT,
    )
    return fixed_weight, fixed_bias, certificate


def _at_scale(name, population, weight, bias, neuron, scale, input_range, time_steps, limit) -> QuantizedLayer:
    fixed_weight = (weight / scale).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
    step = 1 if bias.abs().max().item() / scale <= BIAS_MANTISSA_RANGE[1] else BIAS_STEP_MAX
    fixed_bias = ((bias / scale / step).round() * step).clamp(-BIAS_MAX, BIAS_MAX)
    fixed_neuron = FixedNeuron.of(neuron, scale)
    low, high, sum_bound = _sum_bound(fixed_weight.flatten(1), fixed_bias, input_range)
    certificate = LayerCertificate(
        name=name,
        population=population,
        scale=scale,
        largest_weight=int(fixed_weight.abs().max()),
        largest_bias=int(fixed_bias.abs().max()),
        threshold=fixed_neuron.threshold,
        sum_bound=sum_bound,
        membrane_bound=_membrane_bound(low, high, fixed_neuron, time_steps),
        limit=limit,
    )
    return QuantizedLayer(fixed_weight, fixed_bias, fixed_neuron, certificate, low, high)


def _sum_bound(weight: Tensor, bias: Tensor, input_range: tuple[int, int]) -> tuple[int, int, int]:
    """Least and largest W x + b over outputs and inputs, and the bound on |W x| and |W x + b|."""
    smallest, largest = input_range
    positive, negative = weight.clamp(min=0).sum(1), weight.clamp(max=0).sum(1)
    high, low = positive * largest + negative * smallest, positive * smallest + negative * largest
    bound = max(x.abs().max().item() for x in (high, low, high + bias, low + bias))
    return int((low + bias).min()), int((high + bias).max()), int(bound)


def _membrane_bound(low: int, high: int, neuron: FixedNeuron, time_steps: int) -> int:
    """Bound on |V|: from above by a membrane that just did not fire, from below by T steps of the least sum."""
    kept = (DECAY_UNITY - neuron.decay) / DECAY_UNITY
    lowest = 0.0
    for _ in range(time_steps):
        lowest = min(0.0, lowest * kept + low)
    return math.ceil(max(neuron.threshold * kept + high, -lowest))
