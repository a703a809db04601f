"""When each population sees what: latency of every edge, delays that align branches, reset phases.

NIR's edges have no latency; on Loihi every synapse costs one time step and neurons cost none. A population's
depth is its longest path in synapses. With images of T time steps streamed back to back, a population at depth
d works on image i in steps 1 + d + iT .. d + (i + 1)T, and is reset at the first of them.

A synapse reads one population. Where a node of the graph reads a sum (a residual), a relay population of graded
spikes adds it up once; where a synapse must wait, a relay holds the spikes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import nir

from ..chip.fixed_point import DELAY_LIMIT
from ..errors import GraphError
from .flatten import NEURONS, SYNAPSES, FlatGraph


@dataclass(frozen=True)
class Population:
    """kind: "input", "neuron", "relay" (sends on its graded sum) or "output" (a relay that is read)."""

    name: str
    kind: str
    shape: tuple[int, ...]
    depth: int
    internal: bool = False  # a gate inside an operation, not a population of the model

    def reset_offset(self, time_steps: int) -> int:
        """The phase, in steps modulo T, at which this population's windows begin (Lava counts from 1)."""
        return (1 + self.depth) % time_steps


@dataclass(frozen=True)
class Connection:
    """source -> target through a linear node of the graph, or through an identity that may wait `delay` steps."""

    source: str
    target: str
    synapse: str | None
    delay: int = 0


@dataclass
class Schedule:
    """Populations in execution order and the connections between them."""

    populations: dict[str, Population] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)

    @property
    def recorded(self) -> list[str]:
        """What a trace holds: the populations that spike, but for internal gates, and the outputs."""
        return [p.name for p in self.populations.values() if p.kind in ("neuron", "output") and not p.internal]

    @property
    def depth(self) -> int:
        """Steps from the first input to the last population's first answer."""
        return max(population.depth for population in self.populations.values())

    def steps(self, images: int, time_steps: int) -> int:
        """Time steps that a stream of images takes."""
        return images * time_steps + self.depth


def schedule(graph: FlatGraph) -> Schedule:
    """Give every population its depth and every connection its delay.

    A delay over 62 steps is shared with relays. Raises GraphError for AvgPool2d, which has no whole-numbered synapse.
    """
    return _Scheduler(graph).run()


class _Scheduler:
    def __init__(self, graph: FlatGraph):
        self.graph = graph
        self.plan = Schedule()
        self.sums: dict[tuple[str, ...], str] = {}  # what a relay adds up -> its name

    def run(self) -> Schedule:
        for name, node in self.graph.nodes.items():
            if isinstance(node, nir.AvgPool2d):
                raise GraphError(f"node '{name}' is an AvgPool2d; Loihi adds whole numbers, use a SumPool2d instead")
            shape = self.graph.shapes[name]
            if isinstance(node, nir.Input):
                self.plan.populations[name] = Population(name, "input", shape, 0)
            elif isinstance(node, NEURONS):
                self._add(name, "neuron", shape, self._terms(name))
            elif isinstance(node, nir.Output):
                self._add(name, "output", shape, self._terms(name))
        return self.plan

    def _terms(self, name: str) -> list[str]:
        """Populations and linear nodes whose sum `name` reads; Flatten only gives them another shape."""
        terms: list[str] = []
        for source in self.graph.sources[name]:
            terms += self._terms(source) if isinstance(self.graph.nodes[source], nir.Flatten) else [source]
        return terms

    def _add(self, name: str, kind: str, shape: tuple[int, ...], terms: list[str]) -> None:
        """Add a population that sums `terms`, and all that it needs."""
        arrivals = []  # (population, synapse)
        for term in terms:
            linear = isinstance(self.graph.nodes.get(term), SYNAPSES)
            arrivals.append((self._reader(term), term) if linear else (term, None))
        depth = 1 + max(self.plan.populations[source].depth for source, _ in arrivals)
        connections = []
        for source, synapse in arrivals:
            if synapse and self._wait(source, depth):
                source = self._held_back(source, depth - 1)
            source = self._within_reach(source, depth)
            connections.append(Connection(source, name, synapse, self._wait(source, depth)))
        internal = name in self.graph.internal
        self.plan.populations[name] = Population(name, kind, shape, depth, internal)
        self.plan.connections += connections

    def _reader(self, linear: str) -> str:
        """The one population that a linear node reads: its source, or a relay that adds up its sources."""
        terms = sorted(self._terms(linear), key=list(self.graph.nodes).index)
        if len(terms) == 1 and not isinstance(self.graph.nodes[terms[0]], SYNAPSES):
            return terms[0]
        key = tuple(terms)
        if key not in self.sums:
            name = f"{linear}.input"
            self._add(name, "relay", self.graph.shapes[self.graph.sources[linear][0]], self._with_known_sum(terms))
            self.sums[key] = name
        return self.sums[key]

    def _with_known_sum(self, terms: list[str]) -> list[str]:
        """Replace the largest part of a sum that a relay holds already: a residual stream grows term by term."""
        known = [key for key in self.sums if len(set(key)) == len(key) and set(key) < set(terms)]
        if not known or len(set(terms)) < len(terms):
            return terms
        largest = max(known, key=len)
        return [self.sums[largest], *(term for term in terms if term not in largest)]

    def _wait(self, source: str, depth: int) -> int:
        """How long `source` must be delayed for a target of this depth."""
        return depth - self.plan.populations[source].depth - 1

    def _held_back(self, source: str, depth: int) -> str:
        """A relay that repeats `source` at a later depth."""
        name = f"{source}.delayed.{depth}"
        if name not in self.plan.populations:
            source = self._within_reach(source, depth)
            shape = self.plan.populations[source].shape
            self.plan.populations[name] = Population(name, "relay", shape, depth)
            self.plan.connections.append(Connection(source, name, None, self._wait(source, depth)))
        return name

    def _within_reach(self, source: str, depth: int) -> str:
        """`source`, or the last of a chain of relays after it, from where no delay is over the limit."""
        while self._wait(source, depth) > DELAY_LIMIT:
            source = self._held_back(source, self.plan.populations[source].depth + 1 + DELAY_LIMIT)
        return source
