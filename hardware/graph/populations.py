"""One population at a time: taken out of its network and run on spikes that are given.

Run on the reference's spikes (the golden input), a population shows an error of its own; run on the target's own
spikes, it shows whether the target did what its graph says. What differs in neither case only passes on an earlier
error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ..chip import LOIHI_2
from ..chip.chip import Chip
from .delay_line import delayed
from .flat import FlatGraph, add, at_rest
from .flatten import flatten
from .neuron import TIME_STEP, IntegerNeuron
from .nodes import Delaying, Readout, kind_of, memoryless
from .numbers import integer_neuron
from .operations import Operation


@dataclass(frozen=True)
class DrivenPopulation:
    """What drives one population, and the neuron that it drives.

    terms: what each population that it reads contributes to the current, [T, B, ...]; bias: what arrives without any
    spike, [...]; both in units of the membrane. neuron: None for an output that shows its sum; one that never fires for
    an output that shows its membrane.
    """

    name: str
    terms: dict[str, np.ndarray]
    bias: np.ndarray
    neuron: IntegerNeuron | None
    chip: Chip

    @property
    def current(self) -> np.ndarray:
        """All that arrives, [T, B, ...] in units of the membrane."""
        return add([*self.terms.values(), self.bias])

    def run(self) -> np.ndarray:
        """Spikes int8 [T, B, ...], or the sums of an output, int32; as hardware.interpret."""
        if self.neuron is None:
            return self.sums()
        if not self.neuron.fires:
            return self.neuron.read(self.name, self.current - self.bias, self.bias).astype(np.int32)
        return self.neuron.run(self.name, self.current - self.bias, self.bias)

    def sums(self) -> np.ndarray:
        """What an output shows, int32 [T, B, ...]."""
        return (self.current // self.chip.fraction).astype(np.int32)

    def membrane(self, sample: int, neuron: tuple[int, ...]) -> np.ndarray:
        """The membrane of one neuron before each comparison with its threshold, [T] in its units; none of an output."""
        if self.neuron is None:
            return np.array(())
        one, bias = self.neuron.each(lambda values: self._of(values, neuron)), self._of(self.bias, neuron)
        state, history = one.rest((1,)), []
        at: tuple[Any, ...] = (slice(None), sample, *neuron)
        for current in self.current[at]:
            one.charge(state, current - bias, bias)
            history.append(int(state.membrane[0]))
            one.fire(state)
        return np.array(history)

    def threshold(self, neuron: tuple[int, ...]) -> int | None:
        """The threshold of one neuron, in units of the membrane; None of an output."""
        if self.neuron is None or not self.neuron.fires:
            return None
        return int(self._of(self.neuron.threshold, neuron)[0])

    def _of(self, parameter: np.ndarray, neuron: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(parameter, self.bias.shape)[neuron].reshape(1)


class PopulationGraph:
    """A NIR graph as its populations, each to be run by itself. Marked nested graphs are run fused."""

    def __init__(self, graph: nir.NIRGraph, chip: Chip = LOIHI_2, *, fused: bool = True):
        self.graph = graph
        self.flat: FlatGraph = flatten(graph, fused=fused, chip=chip)
        self._at_rest = at_rest(self.flat)

    @property
    def populations(self) -> list[str]:
        """Every population and output, in execution order."""
        return [name for name in self.flat.nodes if self.flat.is_population(name) or name in self.flat.outputs]

    def path(self, name: str) -> list[str]:
        """The nodes that are no populations between a population and those that it reads, in execution order."""
        found: set[str] = set()
        open_ends = list(self.flat.sources[name])
        while open_ends:
            node = open_ends.pop()
            if node not in found and not self._ends(node):
                found.add(node)
                open_ends += self.flat.sources[node]
        return [node for node in self.flat.nodes if node in found]

    def sources(self, name: str) -> list[str]:
        """The populations that a population reads, and the input, in execution order."""
        read = {source for node in (*self.path(name), name) for source in self.flat.sources[node]}
        return [node for node in self.flat.nodes if node in read and self._ends(node)]

    def ancestors(self, name: str) -> list[str]:
        """All populations that can reach a population, in execution order, without the input."""
        found: set[str] = set()
        open_ends = self.sources(name)
        while open_ends:
            node = open_ends.pop()
            if node not in found and self.flat.sources[node]:
                found.add(node)
                open_ends += self.sources(node)
        return [node for node in self.flat.nodes if node in found]

    def driven(self, name: str, values: Mapping[str, np.ndarray]) -> DrivenPopulation:
        """A population fed with given values of those that it reads (and of the input), [T, B, ...] by name.

        An operation does not add up its inputs: a population behind one has a single term.
        """
        path, sources = self.path(name), self.sources(name)
        together = any(isinstance(self.flat.nodes[node], Operation) for node in path)
        groups = [sources] if together else [[source] for source in sources]
        terms = {", ".join(group): self._term(name, path, group, values) for group in groups}
        bias = np.rint(self._at_rest[self._driven_by(name)] * self.flat.chip.fraction).astype(np.int64)
        return DrivenPopulation(name, terms, bias, self._neuron(name), self.flat.chip)

    def parameters(self, name: str) -> dict[str, np.ndarray]:
        """Weights and biases on the way to a population, and the neuron's numbers as the chip holds them."""
        found = {}
        for node_name in self.path(name):
            node = self.flat.nodes[node_name]
            kind = kind_of(node)
            for field, values in (kind.parameters(node) if kind else {}).items():
                found[f"{node_name}.{field}"] = values
        if neuron := self._neuron(name):
            shape = self.flat.shapes[name]
            for field, values in neuron.numbers.items():
                found[f"{name}.{field}"] = np.broadcast_to(values, shape)
        return found

    def _neuron(self, name: str) -> IntegerNeuron | None:
        name = self._driven_by(name)
        return integer_neuron(self.flat, name) if self.flat.is_population(name) or self.flat.is_readout(name) else None

    def _driven_by(self, name: str) -> str:
        """The node that current drives: of an Output that shows a membrane, that membrane's."""
        source = next(iter(self.flat.sources[name]))
        return source if self.flat.is_readout(source) else name

    def _arriving(self, source: str, target: str, values: np.ndarray) -> np.ndarray:
        """Values [T, B, ...] of a source as they arrive: one time step later where the edge is feedback."""
        if (source, target) not in self.flat.feedback:
            return values
        return np.concatenate([np.zeros_like(values[:1]), values[:-1]])

    def _ends(self, name: str) -> bool:
        return not self.flat.sources[name] or self.flat.is_population(name)

    def _term(self, name: str, path: list[str], group: list[str], values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The current [T, B, ...] in units of the membrane that a group of sources gives by itself."""
        steps = values[group[0]].shape[:2]
        computed = {source: values[source].astype(np.float64) for source in group}
        for node_name in (*path, name):
            arriving = [
                self._arriving(source, node_name, computed[source])
                for source in self.flat.sources[node_name]
                if source in computed
            ]
            if not arriving:
                continue
            total = add(arriving)
            if node_name != name:
                node = self.flat.nodes[node_name]
                kind = kind_of(node)
                if isinstance(kind, Delaying):
                    total = delayed(total, kind.steps(node, TIME_STEP))
                elif not isinstance(kind, Readout):
                    out = memoryless(node_name, node).apply(node, total.reshape(-1, *total.shape[2:]))
                    total = out.reshape(*steps, *out.shape[1:])
            computed[node_name] = total
        current: np.ndarray = np.rint(computed[name] * self.flat.chip.fraction).astype(np.int64)
        return current
