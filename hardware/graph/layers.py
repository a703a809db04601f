"""One population at a time: a layer taken out of its network and run on spikes that are given.

Run on the reference's spikes (the golden input), a layer shows an error of its own; run on the target's own spikes,
it shows whether the target did what its graph says. What differs in neither case only passes on an earlier error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nir
import numpy as np

from ..chip.fixed_point import FRACTION, decay_membrane
from .flatten import NEURONS, FlatGraph, flatten
from .fused import Fused
from .linear import apply_linear, constants
from .neuron import Neuron


@dataclass(frozen=True)
class Layer:
    """What drives one population, and the neuron that it drives.

    terms: what each population that it reads contributes to the current, [T, B, ...]; bias: what arrives without any
    spike, [...]; both in 1/64 of a synaptic unit. neuron: None for an output, which shows its sum.
    """

    name: str
    terms: dict[str, np.ndarray]
    bias: np.ndarray
    neuron: Neuron | None

    @property
    def current(self) -> np.ndarray:
        """All that arrives, [T, B, ...] in 1/64."""
        return sum(self.terms.values()) + self.bias

    def run(self) -> np.ndarray:
        """Spikes int8 [T, B, ...], or the sums of an output, int32; as hardware.interpret."""
        if self.neuron is None:
            return (self.current // FRACTION).astype(np.int32)
        return self.neuron.run(self.name, self.current)

    def membrane(self, sample: int, neuron: tuple[int, ...]) -> np.ndarray:
        """The membrane of one neuron before each comparison with its threshold, [T] in 1/64."""
        decay = np.broadcast_to(self.neuron.decay, self.bias.shape)[neuron]
        threshold = self.threshold(neuron)
        membrane, history = np.int64(0), []
        for current in self.current[(slice(None), sample, *neuron)]:
            membrane = decay_membrane(membrane, decay) + current
            history.append(int(membrane))
            membrane = np.int64(0) if membrane > threshold else membrane
        return np.array(history)

    def threshold(self, neuron: tuple[int, ...]) -> int:
        """The threshold of one neuron, in 1/64."""
        return int(np.broadcast_to(self.neuron.threshold, self.bias.shape)[neuron])


class Layers:
    """The layers of a NIR graph, each to be run by itself. Marked nested graphs are run fused."""

    def __init__(self, graph: nir.NIRGraph):
        self.graph = graph
        self.flat: FlatGraph = flatten(graph, fused=True)
        self._at_rest = constants(self.flat)

    @property
    def populations(self) -> list[str]:
        """Every population and output, in execution order."""
        return self.flat.names_of(*NEURONS, nir.Output)

    def path(self, name: str) -> list[str]:
        """The linear nodes between a population and those that it reads, in execution order."""
        found, open_ends = set(), list(self.flat.sources[name])
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
        found, open_ends = set(), self.sources(name)
        while open_ends:
            node = open_ends.pop()
            if node not in found and self.flat.sources[node]:
                found.add(node)
                open_ends += self.sources(node)
        return [node for node in self.flat.nodes if node in found]

    def layer(self, name: str, values: Mapping[str, np.ndarray]) -> Layer:
        """A layer fed with given values of the populations that it reads (and of the input), [T, B, ...] by name.

        A fused operation does not add up its inputs: a layer with one has a single term.
        """
        path, sources = self.path(name), self.sources(name)
        together = any(isinstance(self.flat.nodes[node], Fused) for node in path)
        groups = [sources] if together else [[source] for source in sources]
        node = self.flat.nodes[name]
        neuron = None if isinstance(node, nir.Output) else Neuron.from_node(name, node)
        terms = {", ".join(group): self._term(name, path, group, values) for group in groups}
        return Layer(name, terms, np.rint(self._at_rest[name] * FRACTION).astype(np.int64), neuron)

    def parameters(self, name: str) -> dict[str, np.ndarray]:
        """Weights and biases on the way to a population, and its decay and threshold in 1/4096 and 1/64."""
        found = {}
        for node_name in self.path(name):
            node = self.flat.nodes[node_name]
            for field in ("weight", "scale", "bias"):
                if not isinstance(node, Fused) and getattr(node, field, None) is not None:
                    found[f"{node_name}.{field}"] = np.asarray(getattr(node, field))
        if not isinstance(self.flat.nodes[name], nir.Output):
            neuron = Neuron.from_node(name, self.flat.nodes[name])
            numbers = {"decay": neuron.decay, "threshold": neuron.threshold}
            shape = self.flat.shapes[name]
            found |= {f"{name}.{field}": np.broadcast_to(values, shape) for field, values in numbers.items()}
        return found

    def _ends(self, name: str) -> bool:
        return not self.flat.sources[name] or isinstance(self.flat.nodes[name], NEURONS)

    def _term(self, name: str, path: list[str], group: list[str], values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The current [T, B, ...] in 1/64 that a group of sources gives by itself."""
        steps = values[group[0]].shape[:2]
        computed = {source: values[source].astype(np.float64) for source in group}
        for node_name in (*path, name):
            arriving = [computed[source] for source in self.flat.sources[node_name] if source in computed]
            if not arriving:
                continue
            total = sum(arriving)
            if node_name != name:
                node = self.flat.nodes[node_name]
                out = apply_linear(node, total.reshape(-1, *total.shape[2:]))
                total = out.reshape(*steps, *out.shape[1:])
            computed[node_name] = total
        return np.rint(computed[name] * FRACTION).astype(np.int64)
