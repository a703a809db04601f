"""Self-attention's integers: a power of two on its product, and the neuron that reads it. It has no weights."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.chip import Chip
from qkformer import Neuron

from ..network.certificate import LayerCertificate
from .neuron import FixedNeuron

LARGEST_EXPONENT = 5


@dataclass(frozen=True)
class QuantizedAttention:
    """The power of two on the product of self-attention, and the neuron that reads it."""

    factor: int
    neuron: FixedNeuron
    certificate: LayerCertificate


def quantize_attention(
    name: str, population: str, neuron: Neuron, attention_scale: float, largest: int, time_steps: int, chip: Chip
) -> QuantizedAttention:
    """Self-attention's integer S = Q K^T V (at most `largest`) times 2^k, and its neuron in those units.

    With tau = 2 and k = T - 1 every membrane is an integer and the neuron equals the float one exactly; k is at
    most 5, and less if the certificate asks for it. attention_scale: the factor on S in the float model.
    """
    for exponent in range(min(time_steps - 1, LARGEST_EXPONENT), -1, -1):
        scale, bound = attention_scale / 2**exponent, largest << exponent
        fixed = FixedNeuron.of(neuron, scale, chip)
        certificate = LayerCertificate(
            name=name,
            population=population,
            scale=scale,
            largest_weight=1 << exponent,
            largest_bias=0,
            threshold=fixed.threshold,
            sum_bound=bound,
            membrane_bound=fixed.membrane_bound(0, bound, time_steps, chip),
            limit=chip.sum_limit,
        )
        if certificate.certified:
            break
    return QuantizedAttention(1 << exponent, fixed, certificate)
