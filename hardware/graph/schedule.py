"""When each population sees what: latency of every edge, delays that align branches, reset phases.

NIR's edges have no latency; on Loihi every synapse costs one time step and neurons cost none. A population's
depth is its longest path in synapses. With images of T time steps streamed back to back, a population at depth
d works on image i in steps 1 + d + iT .. d + (i + 1)T, and is reset at the first of them.

A synapse reads one population. Where a node of the graph reads a sum (a residual), a relay population of graded
spikes adds it up once; where a synapse must wait, a relay holds the spikes back.

A population that hears itself does so through one synapse, whose one step is the one that the cycle means. Only the
last image's spikes must be kept out: at the first step of a window nothing of them arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..chip.chip import Chip
from ..errors import GraphError
from .flat import FlatGraph
from .neuron import TIME_STEP
from .nodes import Delaying, Memoryless, kind_of, memoryless
from .operations import Operation
from .synapse import Synapse


@dataclass(frozen=True)
class ScheduledPopulation:
    """kind: "input", "neuron", "readout" (a membrane that never fires), "relay" (of a graded sum), "delay" (one that
    waits) or "output" (what is shown).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    depth: int
    internal: bool = False  # a gate inside an operation, not a population of the model

    @property
    def has_membrane(self) -> bool:
        """Whether it is a neuron of the chip, which spikes or is read."""
        return self.kind in ("neuron", "readout")

    def reset_offset(self, time_steps: int) -> int:
        """The phase, in steps modulo T, at which this population's windows begin (Lava counts from 1)."""
        return (1 + self.depth) % time_steps


@dataclass(frozen=True)
class Connection:
    """source -> target through a linear node of the graph, or through an identity that may wait `delay` steps.

    A population that is its own source receives nothing at the first step of each of its windows.
    """

    source: str
    target: str
    synapse: str | None
    delay: int = 0

    @property
    def is_feedback(self) -> bool:
        """Whether a population hears itself."""
        return self.source == self.target


@dataclass
class Schedule:
    """Populations in execution order, the connections between them, and what each synapse is, by its node's name.

    delays: how many time steps each value of a "delay" waits, none of which the next window sees.
    """

    chip: Chip
    populations: dict[str, ScheduledPopulation] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)
    synapses: dict[str, Synapse] = field(default_factory=dict)
    delays: dict[str, np.ndarray] = field(default_factory=dict)

    def arriving(self, name: str) -> list[Connection]:
        """The connections into a population."""
        return [connection for connection in self.connections if connection.target == name]

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

    A delay over the chip's limit is shared with relays. Raises GraphError for AvgPool2d, which has no integer synapse,
    and for a relay on a chip whose spikes carry no number.
    """
    return _Scheduler(graph).run()


class _Scheduler:
    def __init__(self, graph: FlatGraph):
        self.graph = graph
        self.plan = Schedule(graph.chip)
        self.place = {name: index for index, name in enumerate(graph.nodes)}
        self.sums: dict[tuple[str, ...], str] = {}  # what a relay adds up -> its name
        self.repeats: dict[tuple[str, int], str] = {}  # what a relay repeats, and at which depth -> its name

    def run(self) -> Schedule:
        for name, node in self.graph.nodes.items():
            shape = self.graph.shapes[name]
            if self.graph.is_synapse(name):
                in_shape = self.graph.in_shape(name)
                self.plan.synapses[name] = memoryless(name, node).synapse(name, node, in_shape, shape)
            elif name == self.graph.input_name:
                self.plan.populations[name] = ScheduledPopulation(name, "input", shape, 0)
            elif isinstance(kind := kind_of(node), Delaying):
                self._add_delay(name, shape, kind.steps(node, TIME_STEP))
            elif self.graph.is_readout(name):
                self._add(name, "readout", shape, self._terms(name))
            elif self.graph.is_population(name):
                self._add(name, "neuron", shape, self._terms(name))
            elif name in self.graph.outputs:
                self._add(name, "output", shape, self._terms(name))
        return self.plan

    def _terms(self, name: str) -> list[str]:
        """Populations and synapses whose sum `name` reads; Flatten only gives them another shape."""
        terms: list[str] = []
        for source in self.graph.sources[name]:
            if (source, name) not in self.graph.feedback:
                terms += self._terms(source) if self._is_reshape(source) else [source]
        return terms

    def _heard(self, name: str) -> list[str]:
        """The populations whose last step's spikes `name` reads."""
        heard: list[str] = []
        for source in self.graph.sources[name]:
            if (source, name) in self.graph.feedback:
                heard.append(source)
            elif self._is_reshape(source):
                heard += self._heard(source)
        return heard

    def _is_reshape(self, name: str) -> bool:
        kind = kind_of(self.graph.nodes[name])
        return isinstance(kind, Memoryless) and kind.is_reshape

    def _add(self, name: str, kind: str, shape: tuple[int, ...], terms: list[str]) -> None:
        """Add a population that sums `terms`, and all that it needs."""
        arrivals: list[tuple[str, str | None]] = []  # (population, synapse)
        connections: list[Connection] = []
        for term in terms:
            if term not in self.plan.synapses:
                arrivals.append((term, None))
                continue
            for population in self._heard(term):
                self._check_cycle(population, term, name)
                connections.append(Connection(population, name, term))
            if self._terms(term):
                arrivals.append((self._reader(term), term))
        if name in self.graph.nodes:
            connections += [Connection(population, name, None) for population in self._heard(name)]
        depth = 1 + max((self.plan.populations[source].depth for source, _ in arrivals), default=0)
        for source, synapse in arrivals:
            if synapse and self._wait(source, depth):
                source = self._held_back(source, depth - 1)
            source = self._within_reach(source, depth)
            connections.append(Connection(source, name, synapse, self._wait(source, depth)))
        if kind in ("relay", "delay"):
            self._check_relay(name)
        internal = name in self.graph.internal
        self.plan.populations[name] = ScheduledPopulation(name, kind, shape, depth, internal)
        self.plan.connections += connections

    def _check_cycle(self, population: str, synapse: str, target: str) -> None:
        """Raise GraphError unless one synapse leads a population back to itself, each part of its sum by itself."""
        if target != population:
            raise GraphError(
                f"'{synapse}' is not the last synapse on the way of '{population}' to itself; on a chip each takes a "
                "time step, and the cycle means one: make them one"
            )
        if isinstance(self.plan.synapses[synapse], Operation) and self._terms(synapse):
            raise GraphError(f"'{synapse}' adds to the spikes of '{population}' what arrives earlier; no synapse can")

    def _check_relay(self, name: str) -> None:
        if not self.graph.chip.graded_spikes:
            raise GraphError(f"'{name}' is a sum for a relay to send on; spikes of {self.graph.chip.title} carry none")

    def _add_delay(self, name: str, shape: tuple[int, ...], steps: np.ndarray) -> None:
        """Relays that wait, the last of them called as the node, of which none waits over the chip's limit."""
        limit = self.graph.chip.delay_limit
        waits = []
        while steps.max(initial=0) > limit:
            waits.append(np.minimum(steps, limit))
            steps = steps - waits[-1]
        terms = self._terms(name)
        for index, wait in enumerate([*waits, steps]):
            relay = name if index == len(waits) else self._own_name(f"{name}.{index + 1}")
            self._add(relay, "delay", shape, terms)
            self.plan.delays[relay] = wait
            terms = [relay]

    def _own_name(self, name: str) -> str:
        """A name for a relay that no node of the graph has."""
        while name in self.graph.nodes or name in self.plan.populations:
            name += "'"
        return name

    def _reader(self, synapse: str) -> str:
        """The one population that a synapse reads: its source, or a relay that adds up its sources."""
        terms = sorted(self._terms(synapse), key=self.place.__getitem__)
        if len(terms) == 1 and terms[0] not in self.plan.synapses:
            return terms[0]
        key = tuple(terms)
        if key not in self.sums:
            name = self._own_name(f"{synapse}.input")
            self._add(name, "relay", self.graph.in_shape(synapse), self._with_known_sum(terms))
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
        key = (source, depth)
        if key not in self.repeats:
            name = self._own_name(f"{source}.delayed.{depth}")
            self._check_relay(name)
            source = self._within_reach(source, depth)
            shape = self.plan.populations[source].shape
            self.plan.populations[name] = ScheduledPopulation(name, "relay", shape, depth)
            self.plan.connections.append(Connection(source, name, None, self._wait(source, depth)))
            self.repeats[key] = name
        return self.repeats[key]

    def _within_reach(self, source: str, depth: int) -> str:
        """`source`, or the last of a chain of relays after it, from where no delay is over the limit."""
        limit = self.graph.chip.delay_limit
        while self._wait(source, depth) > limit:
            source = self._held_back(source, self.plan.populations[source].depth + 1 + limit)
        return source
