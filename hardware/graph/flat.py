"""A NIR graph as a flat list of nodes in execution order: what every target starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from ..chip.chip import Chip
from ..errors import GraphError
from ..progress import Progress
from .nodes import Delaying, Memoryless, Readout, Spiking, kind_of
from .operations import Operation
from .windows import Shape


@dataclass(frozen=True)
class FlatGraph:
    """nodes in execution order; the sources of each (a source named twice counts twice); output shapes.

    chip: whose number formats the nodes were checked against. internal: gates of marked nested graphs, steps of one
    operation, which are not recorded. feedback: edges (source, target) that carry spikes of the time step before, from
    a population into its own cycle; the order of execution ignores them.
    """

    nodes: dict[str, Any]
    sources: dict[str, tuple[str, ...]]
    shapes: dict[str, Shape]
    chip: Chip
    internal: frozenset[str] = field(default=frozenset())
    feedback: frozenset[tuple[str, str]] = field(default=frozenset())

    @property
    def input_name(self) -> str:
        """The name of the graph's only Input node."""
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Input))

    @property
    def outputs(self) -> list[str]:
        """The names of the Output nodes, in execution order."""
        return [name for name, node in self.nodes.items() if isinstance(node, nir.Output)]

    @property
    def populations(self) -> list[str]:
        """The names of the nodes that spike, in execution order."""
        return [name for name in self.nodes if self.is_population(name)]

    @property
    def operations(self) -> dict[str, Operation]:
        """The marked nested graphs that are executed as one operation, by name."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Operation)}

    def is_population(self, name: str) -> bool:
        """Whether a node spikes."""
        return isinstance(kind_of(self.nodes[name]), Spiking)

    def is_readout(self, name: str) -> bool:
        """Whether a node is a membrane that an Output shows."""
        return isinstance(kind_of(self.nodes[name]), Readout)

    def is_synapse(self, name: str) -> bool:
        """Whether a node takes a time step on a chip, on the way from one population to another."""
        kind = kind_of(self.nodes[name])
        return isinstance(kind, Memoryless) and not kind.is_reshape

    def in_shape(self, name: str) -> Shape:
        """The shape of what arrives at a node."""
        return self.shapes[self.sources[name][0]]

    def names_of(self, *kinds: type) -> list[str]:
        """Names of all nodes of these classes, in execution order."""
        return [name for name, node in self.nodes.items() if isinstance(node, kinds)]


def at_rest(graph: FlatGraph) -> dict[str, np.ndarray]:
    """What each node's input sum holds when no spike arrives: biases, passed on by what has no memory.

    Returns name -> [C, H, W] or [features] for every node but the Input. On Loihi this is the neuron's bias.
    """
    result: dict[str, np.ndarray] = {}
    passed_on: dict[str, np.ndarray] = {}
    for source, _ in graph.feedback:
        passed_on[source] = np.zeros(graph.shapes[source])
    for name, node in graph.nodes.items():
        if not graph.sources[name]:
            passed_on[name] = np.zeros(graph.shapes[name])
            continue
        result[name] = add(passed_on[source] for source in graph.sources[name])
        kind = kind_of(node)
        if isinstance(kind, Memoryless):
            passed_on[name] = kind.at_rest(name, node, result[name])
        elif isinstance(kind, Delaying) and np.any(result[name]):
            raise GraphError(f"a bias of {result[name].max():g} arrives at '{name}', a Delay; add it behind the delay")
        else:
            passed_on[name] = np.zeros(graph.shapes[name])
    return result


def add(values: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of arrays of one shape, of which there is at least one."""
    first, *others = values
    return sum(others, first)


def last_uses(sources: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The last node, in the order of `sources`, that reads each node."""
    return {source: name for name, names in sources.items() for source in names}


def visit(
    flat: FlatGraph, values: dict[str, np.ndarray], progress: Progress | None = None
) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Every node but the Input in execution order, with the sum of its sources' values, float64 [T, B, ...].

    Of graphs without feedback, whose nodes can be run one after the other over all time steps.

    The caller puts each node's value into `values`, which holds the Input's at first; from there it is taken when
    nobody needs it any more.
    """
    last = last_uses(flat.sources)
    for done, (name, node) in enumerate(flat.nodes.items()):
        if progress:
            progress(done, len(flat.nodes))
        if not flat.sources[name]:
            continue
        total = add(values[source].astype(np.float64) for source in flat.sources[name])
        for source in set(flat.sources[name]):
            if last[source] == name:
                del values[source]
        yield name, node, total
