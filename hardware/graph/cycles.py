"""Cycles of a NIR graph: which edges take a time step, and in which order nodes are executed in spite of them.

A cycle through synapses that holds one population is a recurrence. It means one time step: the population receives at
time step t what its synapses make of its spikes at t - 1, and at the first of none. So the edges that lead from the
population back into its cycle carry the delay, its feedback.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import GraphError
from .nodes import Memoryless, Spiking, kind_of

Edge = tuple[str, str]  # source, target
Sources = Mapping[str, Collection[str]]
MEANT = "a cycle means one time step, which one population and a synapse give it"


def feedback_edges(nodes: Mapping[str, Any], sources: Sources) -> frozenset[Edge]:
    """The edges from each recurrent population back into its cycle.

    Raises GraphError, naming nodes, for a cycle without a population, through several, or without a synapse.
    """
    found: set[Edge] = set()
    for members in _cyclic(sources):
        populations = [name for name in members if isinstance(kind_of(nodes[name]), Spiking)]
        path = " -> ".join(_walk(members, sources))
        if not populations:
            raise GraphError(f"the graph has a cycle, {path}, without a population; {MEANT}")
        if len(populations) > 1:
            named = ", ".join(populations)
            raise GraphError(f"the graph has a cycle, {path}, with {len(populations)} populations, {named}; {MEANT}")
        (population,) = populations
        if population in sources[population]:
            raise GraphError(f"the graph has a cycle, {population} -> {population}, without a synapse; {MEANT}")
        for name in members:
            kind = kind_of(nodes[name])
            if name != population and not isinstance(kind, Memoryless):
                raise GraphError(f"the graph has a cycle, {path}, through '{name}', a {type(nodes[name]).__name__}")
        found |= {(population, name) for name in members if population in sources[name]}
    execution_order(nodes, sources, found)  # which finds what cycles there are beside a population
    return frozenset(found)


def apart(nodes: dict[str, Any], sources: dict[str, list[str]], feedback: Collection[Edge]) -> None:
    """What lies on a cycle and is read from outside, too, becomes two nodes: outside, spikes have no delay.

    Changes nodes and sources.
    """
    for population in {source for source, _ in feedback}:
        members = next(group for group in _cyclic(sources) if population in group)
        inner = [name for name in members if name != population]
        readers = [name for name in sources if name not in members and set(sources[name]) & set(inner)]
        if not readers:
            continue
        copies: dict[str, str] = {}
        for name in inner:
            copies[name] = f"{name}'"
            while copies[name] in nodes:
                copies[name] += "'"
        for name in readers:
            sources[name] = [copies.get(source, source) for source in sources[name]]
        for name, copy in copies.items():
            nodes[copy] = nodes[name]
            sources[copy] = [copies.get(source, source) for source in sources[name]]


def execution_order(nodes: Collection[str], sources: Sources, feedback: Collection[Edge] = ()) -> list[str]:
    """The nodes such that each comes after its sources, but for feedback. Raises GraphError for a cycle."""
    waiting = {name: [s for s in names if (s, name) not in feedback] for name, names in sources.items()}
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for name, names in waiting.items():
        for source in names:
            targets[source].append(name)
    missing = {name: len(names) for name, names in waiting.items()}
    ready = [name for name in nodes if not missing[name]]
    for name in ready:  # which grows on the way
        for target in targets[name]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    if len(ready) < len(nodes):
        path = " -> ".join(_walk([name for name in nodes if missing[name]], waiting))
        raise GraphError(f"the graph has a cycle, {path}, without a population; {MEANT}")
    return ready


def _walk(members: Collection[str], sources: Sources) -> list[str]:
    """A cycle among nodes of which each has a source among them, from its first node to the same again."""
    inside, walk = set(members), [next(iter(members))]
    while walk.count(walk[-1]) < 2:
        walk.append(next(source for source in sources[walk[-1]] if source in inside))
    return walk[walk.index(walk[-1]) :][::-1]


def _cyclic(sources: Sources) -> list[list[str]]:
    """The sets of nodes that reach one another (or one that reaches itself), by Tarjan's algorithm."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in sources:
        if root in index:
            continue
        work = [(root, iter(sources[root]))]
        index[root] = lowest[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, rest = work[-1]
            for source in rest:
                if source not in index:
                    index[source] = lowest[source] = len(index)
                    stack.append(source)
                    on_stack.add(source)
                    work.append((source, iter(sources[source])))
                    break
                if source in on_stack:
                    lowest[name] = min(lowest[name], index[source])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[name])
                if lowest[name] == index[name]:
                    start = stack.index(name)
                    group = stack[start:]
                    del stack[start:]
                    on_stack -= set(group)
                    if len(group) > 1 or name in sources[name]:
                        found.append(group)
    return found
