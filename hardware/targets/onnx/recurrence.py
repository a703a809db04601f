"""A population that hears its own spikes: the nodes on its way back are part of each of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import GraphError
from ...graph.flat import FlatGraph
from ...graph.nodes import Memoryless, kind_of
from ...graph.numbers import integer_neuron
from ...graph.operations import Operation
from .arithmetic import add
from .builder import OnnxBuilder
from .stepped import SteppedNeuron
from .synapses import pass_on
from .value import Value


def ways_back(flat: FlatGraph) -> dict[str, list[str]]:
    """Of each population that hears itself, the nodes between, in execution order."""
    ways: dict[str, list[str]] = {}
    for population in dict.fromkeys(source for source, _ in sorted(flat.feedback)):
        heard = {target for source, target in flat.feedback if source == population} - {population}
        way = []
        for name in flat.nodes:  # in execution order, up to the population itself
            if name == population:
                break
            if name in heard or any(source in way for source in flat.sources[name]):
                way.append(name)
        ways[population] = way
    return ways


def fire_hearing_itself(
    builder: OnnxBuilder,
    flat: FlatGraph,
    population: str,
    way: Sequence[str],
    values: Mapping[str, Value],
    resting: Mapping[str, np.ndarray],
) -> Value:
    """The spikes, uint8 [T, B, ...]. values: of the nodes before. Raises GraphError for a node that is no synapse."""
    for name in way:
        kind = kind_of(flat.nodes[name])
        if not isinstance(kind, Memoryless) or isinstance(flat.nodes[name], Operation):
            raise GraphError(f"'{name}' is on the way of '{population}' to itself; this target has only synapses there")
    stepped = [*way, population]
    outer = {
        name: [values[s] for s in flat.sources[name] if s not in way and (s, name) not in flat.feedback]
        for name in stepped
    }
    takes = {name: add(builder, found) for name, found in outer.items() if found}
    if not takes:
        raise GraphError(f"'{population}' hears nothing but itself; nothing says for how long")

    def arrive(taken: Sequence[Value], spikes: Value) -> Value:
        arrived = dict(zip(takes, taken, strict=True))
        inner: dict[str, Value] = {}
        for name in stepped:
            terms = [arrived[name]] if name in arrived else []
            for source in flat.sources[name]:
                if (source, name) in flat.feedback:
                    terms.append(spikes)
                elif source in inner:
                    terms.append(inner[source])
            total = add(builder, terms)
            if name == population:
                return total
            inner[name] = pass_on(builder, flat, name, total, resting[name])
        raise AssertionError("a population is the last of its own steps")

    neuron = integer_neuron(flat, population)
    given = SteppedNeuron(builder, neuron, resting[population], flat.shapes[population], hears=True)
    shapes = {name: flat.in_shape(name) for name in way} | {population: flat.shapes[population]}
    return given.run([(value, shapes[name]) for name, value in takes.items()], arrive)
