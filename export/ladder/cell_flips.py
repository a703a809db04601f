"""Float against fixed in a network of any tool's graph: where rounding turns spikes over, and whether it can.

Each population is run alone on the float network's spikes, as flips.py does for our own models. The first flip of a
neuron is held against what rounding can have made of its membrane by then, in the float network's own units:

    sums       |W - W'| |x| + |W| error + half a step of the bias, no weight further off than half a step of its own
    current    error <- kept * error + gain * sums + |kept - kept'| |I| + 1/64 of a synaptic unit (truncation)
    membrane   error <- kept * error + gain * current + |kept - kept'| |v| + 1/64

where primes are of the fixed network. A bias of a filtered current drives the membrane there from the first step on;
what the float current lacks of it by then counts as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn

from hardware.chip.arithmetic import weight_exponent
from hardware.parity.results import LayerFlips

from ..network.cells import Cell, FixedCell, FloatCell, RecurrentCell
from ..network.fixed_model import FixedModel
from ..network.float_network import FloatNetwork
from ..network.node_network import INPUT
from ..network.synapses import FixedSynapses, FloatSynapses
from ..quantization.meeting import cell_of, with_synapses
from .flips import count_flips

FLOAT_ROUNDING = 1e-12  # of float64, relative to what is summed
Reached = tuple[Tensor, Tensor]  # what arrives in the float network, and how far off the fixed one may be


@torch.no_grad()
def trace_cell_flips(
    network: FloatNetwork,
    fixed: FixedModel,
    inputs: Tensor | np.ndarray,
    float_trace: Mapping[str, np.ndarray],
    fixed_trace: Mapping[str, np.ndarray],
) -> tuple[LayerFlips, ...]:
    """The flips of every population that both networks have, in execution order.

    network: from NIR, as `quantize` took it; inputs: [T, B, *input shape]; traces: population -> [T, B, ...].
    """
    flips = _CellFlips(with_synapses(network), fixed, inputs, float_trace)
    names = [node.name for node in fixed.nodes if node.name in float_trace and flips.is_population(node.name)]
    return tuple(flips.of(name, fixed_trace[name]) for name in names)


class _CellFlips:
    def __init__(
        self,
        network: FloatNetwork,
        fixed: FixedModel,
        inputs: Tensor | np.ndarray,
        trace: Mapping[str, np.ndarray],
    ) -> None:
        self.network, self.fixed, self.trace = network, fixed, trace
        self.nodes = {node.name: node for node in network.nodes}
        self.inputs = torch.from_numpy(np.array(inputs, np.float64))
        self.encoded = torch.from_numpy(fixed.encode(inputs)).float()

    def is_population(self, name: str) -> bool:
        """Whether a node fires."""
        module = self.network.get_submodule(name)
        return isinstance(module, Cell) and module.fires

    def of(self, name: str, fixed_spikes: np.ndarray) -> LayerFlips:
        """One population's."""
        wanted, alone = self.trace[name], self._alone(name).numpy()
        return count_flips(
            name, wanted, fixed_spikes, alone, lambda first: int((self._within(name).numpy() & first).sum())
        )

    def _spikes(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(self.trace[name]))

    def _last(self, name: str) -> Tensor:
        """The spikes of the step before."""
        spikes = self._spikes(name)
        return torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])

    def _alone(self, name: str) -> Tensor:
        """What the fixed population gives for the float network's spikes."""
        module = self.fixed.get_submodule(name)
        total = reduce(add, map(self._integers, self.nodes[name].arguments[0]))
        if isinstance(module, RecurrentCell):
            for way in module.ways:
                total = total + _through(way, self._last(name).float())  # type: ignore[arg-type]
            module = module.cell
        given: Tensor = module(total)
        return given

    def _integers(self, name: str) -> Tensor:
        if name == INPUT:
            return self.encoded
        if self.is_population(name):
            return self._spikes(name).float()
        total = reduce(add, map(self._integers, self.nodes[name].arguments[0]))
        given: Tensor = self.fixed.get_submodule(name)(total)
        return given

    def _reached(self, name: str) -> Reached:
        """What a node gives in float, and how far off the fixed one may be, [T, B, ...] each."""
        if name == INPUT:
            return self.inputs, (self.encoded.double() * self.fixed.encoding.input_scale - self.inputs).abs()
        if self.is_population(name):
            spikes = self._spikes(name).double()
            return spikes, torch.zeros_like(spikes)
        arriving = self._sum(self.nodes[name].arguments[0])
        return self._passed(self.network.get_submodule(name), self.fixed.get_submodule(name), *arriving)

    def _sum(self, names: Sequence[str]) -> Reached:
        terms = [self._reached(name) for name in names]
        return reduce(add, (value for value, _ in terms)), reduce(add, (error for _, error in terms))

    def _passed(self, module: nn.Module, fixed: nn.Module, value: Tensor, error: Tensor) -> Reached:
        given: Tensor = module(value)
        if not isinstance(module, FloatSynapses):  # a sum of some values, or the same in another shape or later
            return given, module(error)
        assert isinstance(fixed, FixedSynapses)
        one = fixed.scale / fixed.input_scale  # what 1 of a weight is worth
        step = one * (1 << weight_exponent(fixed.weight.cpu().numpy(), self.fixed.chip))
        rounding = (module.weight - fixed.weight * one).abs().clamp(max=step / 2)
        off = FloatSynapses(module.form, rounding)(value.abs()) + FloatSynapses(module.form, module.weight.abs())(error)
        chip = self.fixed.chip
        large = bool((fixed.bias.abs() > chip.bias_mantissa_range[1]).any())
        off = off + (chip.coarsest_bias_step if large else 1) / 2 * fixed.scale  # of the bias, a drive in it
        return given, off + FLOAT_ROUNDING * given.abs()

    def _within(self, name: str) -> Tensor:
        """Where a membrane is no further from its threshold than rounding can have moved it, bool [T, B, ...]."""
        value, error = self._sum(self.nodes[name].arguments[0])
        bias = self._at_rest(self.nodes[name].arguments[0])
        module, fixed = self.network.get_submodule(name), self.fixed.get_submodule(name)
        if isinstance(module, RecurrentCell) and isinstance(fixed, RecurrentCell):
            last = self._last(name).double()
            for way, fixed_way in zip(module.ways, fixed.ways, strict=True):
                reached: Reached = last, torch.zeros_like(last)
                for node, fixed_node in zip(way, fixed_way, strict=True):  # type: ignore[call-overload]
                    reached = self._passed(node, fixed_node, *reached)
                value, error = value + reached[0], error + reached[1]
                bias = bias + _through(way, torch.zeros_like(last[:1, :1]))  # type: ignore[arg-type]
            fixed = fixed.cell
        cell = cell_of(module)
        assert cell is not None
        assert isinstance(fixed, FixedCell)
        return _membranes_within(cell, fixed, value, error, bias, self._spikes(name).bool())

    def _at_rest(self, names: Sequence[str]) -> Tensor:
        """What arrives without any spike or input, [1, 1, ...]."""
        return reduce(add, map(self._rest_of, names))

    def _rest_of(self, name: str) -> Tensor:
        if name == INPUT or self.is_population(name):
            source = self.inputs if name == INPUT else self._spikes(name)
            return torch.zeros_like(source[:1, :1], dtype=torch.float64)
        given: Tensor = self.network.get_submodule(name)(self._at_rest(self.nodes[name].arguments[0]))
        return given


def _through(way: Sequence[nn.Module], x: Tensor) -> Tensor:
    return reduce(lambda value, module: module(value), way, x)


def _membranes_within(
    cell: FloatCell, fixed: FixedCell, value: Tensor, error: Tensor, bias: Tensor, spikes: Tensor
) -> Tensor:
    assert cell.threshold is not None
    unity, smallest = fixed.chip.decay_unity, fixed.scale / fixed.chip.fraction
    kept_error = (cell.kept - (1 - fixed.decay / unity)).abs().clamp(max=0.5 / unity)
    current, current_error = torch.zeros_like(value[0]), torch.zeros_like(value[0])
    membrane, deviation = torch.zeros_like(value[0]), torch.zeros_like(value[0])
    ceiling = fixed.scale * cell.whole_gain  # the threshold is rounded down to a synaptic unit
    within = []
    for t, (arriving, its_error, fired) in enumerate(zip(value, error, spikes, strict=True)):
        if cell.current_kept is not None and cell.current_gain is not None:
            off = (cell.current_kept - (1 - fixed.current_decay / unity)).abs().clamp(max=0.5 / unity)
            current_error = cell.current_kept * current_error + off * current.abs()
            current_error = current_error + cell.current_gain * (its_error + smallest)
            current = cell.current_kept * current + cell.current_gain * arriving
            missing = cell.current_gain * bias[0, 0].abs() * cell.current_kept ** (t + 1) / (1 - cell.current_kept)
        else:
            current, current_error, missing = arriving, its_error, torch.zeros(())
        deviation = cell.kept * deviation + kept_error * membrane.abs() + cell.gain * (current_error + missing)
        deviation = deviation + cell.whole_gain * smallest
        membrane = cell.kept * membrane + cell.gain * current + cell.drive
        deviation = deviation + FLOAT_ROUNDING * membrane.abs()
        within.append((membrane - cell.threshold).abs() <= deviation + ceiling)
        membrane, deviation = membrane.masked_fill(fired, 0), deviation.masked_fill(fired, 0)
    return torch.stack(within)
