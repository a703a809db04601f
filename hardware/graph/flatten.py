"""A NIR graph as a flat list of nodes in execution order, checked before anything runs.

Nested graphs are inlined (their nodes are named `outer.inner`), edges into one node are its sources, whose
values are summed. Every error names the node.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from ..chip.fixed_point import check_integer, check_weights
from .fused import FUSED, Fused
from .shapes import NEURONS, GraphError, output_shape

WEIGHTED = (nir.Conv2d, nir.Linear, nir.Affine)
LINEAR = (*WEIGHTED, nir.SumPool2d, nir.AvgPool2d, nir.Scale)
SYNAPSES = (*LINEAR, Fused)  # what takes a time step on its way from one population to another
SUPPORTED = (nir.Input, nir.Output, *LINEAR, nir.Flatten, *NEURONS, nir.NIRGraph)


@dataclass(frozen=True)
class FlatGraph:
    """nodes in execution order; the sources of each (a source named twice counts twice); output shapes."""

    nodes: dict[str, nir.NIRNode]
    sources: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, ...]]
    internal: frozenset[str] = frozenset()  # gates of marked nested graphs: steps of one operation, not recorded

    @property
    def input_name(self) -> str:
        """The name of the graph's only Input node."""
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Input))

    def names_of(self, *kinds: type) -> list[str]:
        """Names of all nodes of these kinds, in execution order."""
        return [name for name, node in self.nodes.items() if isinstance(node, kinds)]


def flatten(graph: nir.NIRGraph, *, fused: bool = False, floating_point: bool = False) -> FlatGraph:
    """Inline nested graphs, sort, and check every node, number and shape of an integer network.

    fused: keep a nested graph whose metadata says what it computes as one node (see fused.py); without it the
    gates are inlined like any other node, and are listed as `internal`. floating_point: any finite number will do.
    Raises GraphError for an unsupported node, an edge to nowhere, a cycle, a missing Input or Output and
    shapes that do not fit; RangeError for weights that are not 8-bit whole numbers.
    """
    internal: set[str] = set()
    nodes, edges = _inline(graph, "", fused, internal)
    inputs = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1:
        raise GraphError(f"the graph has {len(inputs)} Input nodes ({', '.join(inputs) or 'none'}); it needs one")
    if not any(isinstance(node, nir.Output) for node in nodes.values()):
        raise GraphError("the graph has no Output node")
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        sources[target].append(source)
    order = _execution_order(nodes, sources)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in order:
        _check_numbers(name, nodes[name], floating_point)
        shapes[name] = output_shape(name, nodes[name], [(s, shapes[s]) for s in sources[name]])
    return FlatGraph(
        {name: nodes[name] for name in order}, {n: tuple(sources[n]) for n in order}, shapes, frozenset(internal)
    )


def _inline(
    graph: nir.NIRGraph, prefix: str, fused: bool, internal: set[str]
) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    entries: dict[str, str] = {}  # nested graph -> its Input
    exits: dict[str, str] = {}  # nested graph -> its Output
    for key, node in graph.nodes.items():
        name = prefix + key
        if not isinstance(node, SUPPORTED):
            supported = ", ".join(kind.__name__ for kind in SUPPORTED)
            raise GraphError(
                f"node '{name}' is a {type(node).__name__}, which is not supported; supported: {supported}"
            )
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        marked = node.metadata.get("computes") in FUSED
        if marked and fused:
            nodes[name] = Fused.from_metadata(name, node)
            continue
        inner_nodes, inner_edges = _inline(node, f"{name}.", fused, internal)
        if marked:
            internal.update(inner_nodes)
        ports = {}
        for kind in (nir.Input, nir.Output):
            found = [n for n in inner_nodes if isinstance(inner_nodes[n], kind)]
            if len(found) != 1:
                raise GraphError(f"nested graph '{name}' has {len(found)} {kind.__name__} nodes; it needs one")
            ports[kind] = found[0]
        entries[name], exits[name] = ports[nir.Input], ports[nir.Output]
        if taken := (nodes.keys() | {prefix + other for other in graph.nodes}) & inner_nodes.keys():
            raise GraphError(f"node '{min(taken)}' exists twice: as it is, and inside nested graph '{name}'")
        nodes |= inner_nodes
        edges += inner_edges
    for source, target in graph.edges:
        for end in (source, target):
            if end not in graph.nodes:
                raise GraphError(f"an edge of the graph names node '{prefix + end}', which does not exist")
        source, target = prefix + source, prefix + target
        edges.append((exits.get(source, source), entries.get(target, target)))
    for port in [*entries.values(), *exits.values()]:  # a nested Input or Output only passes values on
        into = [s for s, t in edges if t == port]
        out = [t for s, t in edges if s == port]
        edges = [(s, t) for s, t in edges if port not in (s, t)] + [(s, t) for s in into for t in out]
        del nodes[port]
    return nodes, edges


def _execution_order(nodes: dict[str, nir.NIRNode], sources: dict[str, list[str]]) -> list[str]:
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for name, names in sources.items():
        for source in names:
            targets[source].append(name)
    missing = {name: len(names) for name, names in sources.items()}
    ready = [name for name in nodes if not missing[name]]
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in targets[name]:
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    if len(order) < len(nodes):
        stuck = [name for name in nodes if name not in set(order)]
        walk = [stuck[0]]
        while walk.count(walk[-1]) < 2:
            walk.append(next(source for source in sources[walk[-1]] if missing[source]))
        cycle = walk[walk.index(walk[-1]) :][::-1]
        raise GraphError(f"the graph has a cycle, {' -> '.join(cycle)}; only acyclic graphs can be executed")
    return order


def _check_numbers(name: str, node: nir.NIRNode, floating_point: bool) -> None:
    weights = {"weight": node.weight} if isinstance(node, WEIGHTED) else {}
    if isinstance(node, nir.Scale):
        weights["scale"] = node.scale
    biases = {"bias": node.bias} if isinstance(node, (nir.Conv2d, nir.Affine)) else {}
    for what, numbers in (weights | biases).items():
        if floating_point and not np.isfinite(numbers).all():
            raise GraphError(f"node '{name}' has a {what} that is NaN or infinite")
    if not floating_point:
        for numbers in weights.values():
            check_weights(name, numbers)
        for numbers in biases.values():
            check_integer(name, "bias", numbers)
