"""Rules -> the modules of a fixed model, and the certificates of those with weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import singledispatch

import torch
from torch import nn

from hardware.chip import Chip
from hardware.errors import RangeError

from ..network.certificate import LayerCertificate
from ..network.fixed_layers import FixedConv, FixedCurrentPool, FixedLIF, Gate, Readout
from ..network.layers import SelfAttentionProduct
from .neuron import FixedNeuron
from .rules import AttentionRule, CurrentsRule, HeadRule, IntegerRule, LayerRule, NeuronRule, Rule


@dataclass(frozen=True)
class FixedPart:
    """The modules that a rule gives, by node; their certificates; and decays that were rounded, by population."""

    modules: dict[str, nn.Module]
    certificates: tuple[LayerCertificate, ...] = ()
    rounded: dict[str, str] = field(default_factory=dict)


@singledispatch
def fixed_part(rule: Rule) -> FixedPart:
    """What `quantize` makes by a rule."""
    raise TypeError(f"no modules are made by a {type(rule).__name__}")


@fixed_part.register
def _(rule: LayerRule) -> FixedPart:
    layer, _, _ = rule.decide()
    certificate, convolution = layer.certificate, rule.convolution
    modules: dict[str, nn.Module] = {
        certificate.name: FixedConv(layer.weight, layer.bias, convolution.stride, convolution.padding),
        certificate.population: _lif(certificate.population, layer.neuron, rule.quantizer.chip),
    }
    if rule.pool is not None:
        modules[rule.pool_name] = FixedCurrentPool(*rule.pool.window, layer.low, layer.high)
    return FixedPart(modules, (certificate,))


@fixed_part.register
def _(rule: AttentionRule) -> FixedPart:
    quantized, certificate = rule.quantized, rule.quantized.certificate
    return FixedPart(
        {
            certificate.name: SelfAttentionProduct(rule.product.heads, quantized.factor),
            certificate.population: _lif(certificate.population, quantized.neuron, rule.chip),
        },
        (certificate,),
    )


@fixed_part.register
def _(rule: NeuronRule) -> FixedPart:
    return FixedPart({rule.name: Gate(0) if rule.fixed is None else _lif(rule.name, rule.fixed, rule.chip)})


@fixed_part.register
def _(rule: HeadRule) -> FixedPart:
    head, _, bias = rule.decide()
    largest, limit = head.certificate.largest_bias, torch.iinfo(torch.int32).max
    if largest > limit:
        worst = bias.abs().max().item() / rule.tokens
        raise RangeError(
            f"{head.certificate.name}: bias {worst:g} is {largest:.6g} at the scale of its weights, "
            f"{head.certificate.scale:.3g}; int32 holds {limit}: train with a smaller bias"
        )
    return FixedPart({rule.name: Readout(head.weight, head.bias)}, (head.certificate,))


@fixed_part.register
def _(rule: IntegerRule) -> FixedPart:
    return FixedPart({rule.name: copy.deepcopy(rule.module)})


@fixed_part.register
def _(rule: CurrentsRule) -> FixedPart:
    return FixedPart(rule.quantized.modules, rule.quantized.certificates, rule.quantized.rounded)


def _lif(name: str, neuron: FixedNeuron, chip: Chip) -> FixedLIF:
    low, high = chip.threshold_range
    if not low <= neuron.threshold <= high:
        raise RangeError(
            f"{name}: threshold {neuron.threshold} is outside {low} .. {high} at the scale of its layer's weights and "
            "biases; the largest of them is out of all proportion: train with smaller ones"
        )
    return FixedLIF(neuron.decay, neuron.threshold, name, chip)
