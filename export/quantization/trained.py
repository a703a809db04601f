"""Rules -> modules that are trained: the integers of the fixed ones, which follow the float model's parameters."""

from __future__ import annotations

import copy
from functools import singledispatch

from torch import nn

from ..network.layers import CurrentPool, SelfAttentionProduct
from .rules import AttentionRule, HeadRule, IntegerRule, LayerRule, NeuronRule, Rule
from .trained_layers import TrainedConv, TrainedGate, TrainedLIF, TrainedReadout

Modules = dict[str, nn.Module]


@singledispatch
def trained_modules(rule: Rule) -> Modules:
    """What `QuantizationAware` makes by a rule, by node."""
    raise TypeError(f"no modules are made by a {type(rule).__name__}")


@trained_modules.register
def _(rule: LayerRule) -> Modules:
    layer, _, _ = rule.decide()
    name, population = layer.certificate.name, layer.certificate.population
    lif = TrainedLIF(rule.quantizer.neuron, layer.neuron, layer.certificate.scale, population, rule.quantizer.chip)
    modules: Modules = {name: TrainedConv(rule, lif.follow), population: lif}
    if rule.pool is not None:
        modules[rule.pool_name] = CurrentPool(*rule.pool.window)
    return modules


@trained_modules.register
def _(rule: AttentionRule) -> Modules:
    quantized, certificate = rule.quantized, rule.quantized.certificate
    lif = TrainedLIF(rule.neuron, quantized.neuron, certificate.scale, certificate.population, rule.chip)
    lif.certified = certificate.certified
    return {
        certificate.name: SelfAttentionProduct(rule.product.heads, quantized.factor),
        certificate.population: lif,
    }


@trained_modules.register
def _(rule: NeuronRule) -> Modules:
    if rule.fixed is None:
        return {rule.name: TrainedGate(rule.neuron, 0)}
    return {rule.name: TrainedLIF(rule.neuron, rule.fixed, rule.scale, rule.name, rule.chip)}


@trained_modules.register
def _(rule: HeadRule) -> Modules:
    return {rule.name: TrainedReadout(rule)}


@trained_modules.register
def _(rule: IntegerRule) -> Modules:
    return {rule.name: copy.deepcopy(rule.module)}
