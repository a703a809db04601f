"""How the integers of each part of a float network are decided; stated once for `quantize` and `QuantizationAware`.

A rule is of the nodes that are decided together. walk.py finds those of a network; `fixed.py` and `trained.py` make
modules by them.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hardware.chip import Chip
from qkformer import Neuron

from ..errors import naming
from ..network.float_layers import Convolution, Head
from ..network.layers import CurrentPool, SelfAttentionProduct
from ..network.stream import Stream
from .attention import QuantizedAttention
from .currents import QuantizedGroup
from .head import QuantizedHead, quantize_head
from .layer import LayerQuantizer, QuantizedLayer
from .neuron import FixedNeuron


@dataclass(frozen=True)
class LayerRule:
    """A convolution, perhaps a max-pool of its currents, and the neuron that they drive."""

    convolution: Convolution
    pool: CurrentPool | None
    pool_name: str
    quantizer: LayerQuantizer

    def decide(self) -> tuple[QuantizedLayer, Tensor, Tensor]:
        """The layer's integers, of its float weight and bias of the moment, which are given as well."""
        with naming(self.quantizer.name):
            weight, bias = self.convolution.weight_and_bias()
        return self.quantizer(weight, bias), weight, bias


@dataclass(frozen=True)
class AttentionRule:
    """The product of self-attention and the neuron that reads it."""

    product: SelfAttentionProduct
    neuron: Neuron
    quantized: QuantizedAttention
    chip: Chip


@dataclass(frozen=True)
class NeuronRule:
    """A neuron that reads integers: an OR where one spike suffices (`fixed` is None), else the chip's neuron."""

    name: str
    neuron: Neuron
    fixed: FixedNeuron | None
    scale: float
    chip: Chip


@dataclass(frozen=True)
class HeadRule:
    """The head. stream: what it reads at each of `tokens` tokens."""

    name: str
    head: Head
    stream: Stream
    tokens: int
    chip: Chip

    def decide(self) -> tuple[QuantizedHead, Tensor, Tensor]:
        """The head's integers, of its float weight and bias of the moment, which are given as well."""
        with naming("head"):
            weight, bias = self.head.weight_and_bias()
        return quantize_head("head", weight, bias, self.stream, self.tokens, self.chip), weight, bias


@dataclass(frozen=True)
class IntegerRule:
    """A module that computes with integers as it is."""

    name: str
    module: nn.Module


@dataclass(frozen=True)
class CurrentsRule:
    """Synapses whose currents are added up, and the populations that they drive."""

    quantized: QuantizedGroup


Rule = LayerRule | AttentionRule | NeuronRule | HeadRule | IntegerRule | CurrentsRule
