"""Float against fixed: which layer's quantization turns spikes over, and whether rounding can account for it.

Each layer of the fixed model is run alone on the float model's spikes (the golden input), so a flip that it originates
is told from one that it inherits. The first flip of a neuron is held against the rounding error that its membrane can
have at that moment, in units of the layer's scale:

    current   | W x + b - (W' x' + b') / scale |  <=  |W - W'/scale| x + |W'/scale| |x - x'| + |b - b'/scale|
    membrane  error[t] <= kept * error[t-1] + current error + 1/64 (truncation) + what float32 rounds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hardware.parity.results import LayerFlips
from qkformer import Neuron

from ..network.fixed_layers import FixedConv, FixedLIF
from ..network.fixed_model import FixedModel
from ..network.float_layers import FloatConv
from ..network.float_network import FloatNetwork
from ..network.layers import CurrentPool
from ..network.node_network import INPUT, Node

WEIGHT_ROUNDING = 0.5  # the most that rounding changes a weight by, in units of its layer's scale
FLOAT32_ROUNDING = 64 * torch.finfo(torch.float32).eps  # of a float model's current and membrane, relative to the sums


@torch.no_grad()
def trace_flips(
    folded: FloatNetwork,
    fixed: FixedModel,
    images: Tensor,
    float_trace: Mapping[str, np.ndarray],
    fixed_trace: Mapping[str, np.ndarray],
) -> tuple[LayerFlips, ...]:
    """The flips of every population that both models have, in execution order.

    folded: the float model's network.
    images: [B, C, H, W]; the traces are those of the two models on them, population -> [T, B, ...].
    """
    return _Flips(folded, fixed, images, float_trace).compare(fixed_trace)


def count_flips(
    name: str, wanted: np.ndarray, found: np.ndarray, alone: np.ndarray, explain: Callable[[np.ndarray], int]
) -> LayerFlips:
    """A population's flips, of spikes [T, B, ...]: wanted, of the float network; found, of the fixed one.

    alone: of the fixed population on the float network's spikes. explain: of the first flips of all neurons, how many
    rounding can account for.
    """
    flipped = alone != wanted
    first = flipped & (np.cumsum(flipped, axis=0) == 1)
    explained = explain(first) if first.any() else 0
    return LayerFlips(
        name=name,
        spikes=wanted.size,
        flips=int((found != wanted).sum()),
        originated=int(flipped.sum()),
        first=int(first.sum()),
        explained=explained,
        unexplained=int(first.sum()) - explained,
    )


class _Flips:
    def __init__(
        self, folded: FloatNetwork, fixed: FixedModel, images: Tensor, trace: Mapping[str, np.ndarray]
    ) -> None:
        self.folded, self.fixed, self.trace = folded, fixed, trace
        self.scales = {layer.name: layer.scale for layer in fixed.certificate}
        self.nodes = {node.name: node for node in fixed.nodes}
        self.encoded = torch.from_numpy(fixed.encode(images)).float()
        steps = images.transpose(0, 1) if fixed.encoding.events else images.expand(len(self.encoded), *images.shape)
        self.latest = ("", torch.empty(0))  # the value that a population read, to be read again
        self.exact_input = steps.double() / fixed.encoding.input_scale

    def compare(self, fixed_trace: Mapping[str, np.ndarray]) -> tuple[LayerFlips, ...]:
        return tuple(
            self._population(node, fixed_trace[node.name]) for node in self.fixed.nodes if node.name in self.trace
        )

    def _population(self, node: Node, fixed_spikes: np.ndarray) -> LayerFlips:
        wanted = np.broadcast_to(self.trace[node.name], fixed_spikes.shape)
        alone = self._golden(node).numpy()
        return count_flips(node.name, wanted, fixed_spikes, alone, lambda first: self._explained(node, first))

    def _golden(self, node: Node) -> Tensor:
        """What a fixed node gives for the float model's spikes, [T, B, ...]."""
        arguments = [self._sum(argument) for argument in node.arguments]
        return self.fixed.get_submodule(node.name)(*arguments)

    def _sum(self, names: Iterable[str]) -> Tensor:
        return reduce(torch.add, map(self._value, names))

    def _value(self, name: str) -> Tensor:
        if name == INPUT:
            return self.encoded
        if name not in self.trace:
            if self.latest[0] != name:
                self.latest = (name, self._golden(self.nodes[name]))
            return self.latest[1]
        return torch.from_numpy(self.trace[name].astype(np.float32))

    def _explained(self, node: Node, flips: np.ndarray) -> int:
        """How many of the first flips happen no further from the threshold than rounding can move the membrane.

        Gates, masks and pools of spikes are exact: nothing may flip there.
        """
        module = self.fixed.get_submodule(node.name)
        if not isinstance(module, FixedLIF):
            return 0
        ((source,),) = node.arguments
        chip = self.fixed.chip
        current, error, scale = self._current(source)
        neurons = torch.from_numpy(flips.any(0))
        spikes = torch.from_numpy(np.broadcast_to(self.trace[node.name], flips.shape)[:, neurons.numpy()].astype(bool))
        current, error = current[:, neurons].double(), error[:, neurons].double()
        neuron = cast(Neuron, self.folded.get_submodule(node.name))
        kept, threshold = neuron.decay, neuron.v_threshold / (neuron.input_gain * scale)
        ceiling = min(max(threshold - module.threshold, 0), 1)  # the threshold was rounded to ceil(threshold) - 1
        kept_error = min(abs(kept - (chip.decay_unity - module.decay) / chip.decay_unity), 0.5 / chip.decay_unity)
        membrane, deviation = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        within = []
        for now, its_error, fired in zip(current, error, spikes, strict=True):
            deviation = kept * deviation + kept_error * membrane.abs() + its_error + 1 / chip.fraction
            membrane = kept * membrane + now
            deviation = deviation + FLOAT32_ROUNDING * (membrane.abs() + now.abs())
            within.append((membrane - threshold).abs() <= deviation + ceiling)
            membrane, deviation = membrane.masked_fill(fired, 0), deviation.masked_fill(fired, 0)
        return int((torch.stack(within).numpy() & flips[:, neurons.numpy()]).sum())

    def _current(self, name: str) -> tuple[Tensor, Tensor, float]:
        """The exact current [T, B, ...] in units of the scale, the error that the fixed one may have, the scale."""
        module, node = self.fixed.get_submodule(name), self.nodes[name]
        if isinstance(module, FixedConv):
            return (*self._convolution(node, module), self.scales[name])
        if isinstance(module, CurrentPool):  # a maximum moves by no more than the largest error below it
            ((source,),) = node.arguments
            current, error, scale = self._current(source)
            return _pooled(module, current), _pooled(module, error), scale
        exact = self._value(name)  # a sum of spikes, or the product of self-attention: integers
        return exact, torch.zeros_like(exact), self.scales.get(name, 1.0)

    def _convolution(self, node: Node, module: FixedConv) -> tuple[Tensor, Tensor]:
        (sources,), scale = node.arguments, self.scales[node.name]
        exactly = cast(FloatConv, self.folded.get_submodule(node.name))
        input_scale = self.fixed.encoding.input_scale if sources == (INPUT,) else 1.0
        weight, bias = exactly.weight * input_scale / scale, exactly.bias / scale
        given = self._sum(sources)
        rounding = (module.weight - weight).abs().clamp(max=WEIGHT_ROUNDING) + FLOAT32_ROUNDING * weight.abs()
        error = self._convolve(module, rounding, given.abs())
        bias_rounding = self.fixed.chip.coarsest_bias_step / 2
        error += ((module.bias - bias).abs().clamp(max=bias_rounding) + FLOAT32_ROUNDING * bias.abs()).view(-1, 1, 1)
        if sources == (INPUT,):  # rounded as well
            error += self._convolve(module, weight.abs(), (given - self.exact_input).abs())
            given = self.exact_input
        return self._convolve(module, weight, given) + bias.view(-1, 1, 1), error

    @staticmethod
    def _convolve(module: FixedConv, weight: Tensor, x: Tensor) -> Tensor:
        sums = F.conv2d(x.flatten(0, 1).float(), weight.float(), None, module.stride, module.padding)
        return sums.unflatten(0, x.shape[:2])


def _pooled(module: CurrentPool, x: Tensor) -> Tensor:
    return F.max_pool2d(x.flatten(0, 1), *module.window).unflatten(0, x.shape[:2])
