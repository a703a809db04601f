"""NIR graph -> FlatGraph, checked before anything runs. Every error names the node.

Nested graphs are inlined (their nodes are named `outer.inner`); edges into one node are its sources, whose values are
summed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from ..chip import LOIHI_2
from ..chip.chip import Chip
from ..errors import GraphError
from .cycles import apart, execution_order, feedback_edges
from .flat import FlatGraph
from .marks import check_mark, mark_of, marked_operation
from .nodes import NodeKind, Readout, kind_of, node_kinds, spiking
from .operations import Operation
from .parameters import check_node, check_size
from .windows import Shape

DEEPEST = 64  # nested graphs inside one another
MOST_EDGES = 1_000_000  # nested graphs that only pass values on may multiply them without end


def flatten(
    graph: nir.NIRGraph,
    *,
    fused: bool = False,
    floating_point: bool = False,
    chip: Chip = LOIHI_2,
    trust_marks: bool = False,
) -> FlatGraph:
    """Inline nested graphs, sort, and check every node, number and shape of an integer network.

    fused: a nested graph whose metadata says what it computes becomes one node if its gates prove the mark (marks.py);
    without it, and where nothing is proven, the gates are inlined like any other node and listed as `internal`.
    floating_point: any finite number will do. chip: whose number formats integers must have. trust_marks: nested
    graphs without gates (`without_gates`) had their marks proven before.
    Raises GraphError for an unsupported node, an edge to nowhere, a cycle that is no recurrence (cycles.py), a missing
    Input or Output, shapes that do not fit and a mark that is wrong; RangeError for weights that the chip has no
    format for.
    """
    inlined = _Inlined(fused, chip, trust_marks)
    inlined.inline(graph)
    nodes, sources = inlined.without_ports()
    inputs = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1:
        raise GraphError(f"the graph has {len(inputs)} Input nodes ({', '.join(inputs) or 'none'}); it needs one")
    if not any(isinstance(node, nir.Output) for node in nodes.values()):
        raise GraphError("the graph has no Output node")
    feedback = feedback_edges(nodes, sources)
    apart(nodes, sources, feedback)
    order = execution_order(nodes, sources, feedback)
    shapes: dict[str, Shape] = {name: spiking(name, nodes[name]).shape(nodes[name]) for name, _ in feedback}
    for name in order:
        kind = _known_kind(name, nodes[name])
        if floating_point:
            kind.check_finite(name, nodes[name])
        else:
            kind.check_integers(name, nodes[name], chip)
        shapes[name] = kind.output_shape(name, nodes[name], *_arriving(name, nodes[name], sources[name], shapes))
        check_size(name, shapes[name])
    _check_readouts(nodes, sources)
    order = _outputs_in_rows(inlined.internal, nodes, order, sources, shapes)
    flat = {name: nodes[name] for name in order}
    read = {name: tuple(sources[name]) for name in order}
    return FlatGraph(flat, read, shapes, chip, frozenset(inlined.internal), feedback)


def _check_readouts(nodes: dict[str, Any], sources: dict[str, list[str]]) -> None:
    """Raise GraphError unless a membrane that is read is all that an Output shows, and nobody else reads it."""
    for name, read in sources.items():
        for source in read:
            alone = isinstance(nodes[name], nir.Output) and len(read) == 1
            if isinstance(kind_of(nodes[source]), Readout) and not alone:
                kind = type(nodes[source]).__name__
                raise GraphError(
                    f"'{source}' is a {kind}, a membrane that an Output shows alone; '{name}' reads it too"
                )


def _outputs_in_rows(
    internal: Collection[str],
    nodes: dict[str, Any],
    order: list[str],
    sources: dict[str, list[str]],
    shapes: dict[str, Shape],
) -> list[str]:
    """Before every Output of a Conv2d that sees the whole map, [C, 1, 1], a Flatten: it shows [C], as a dense layer.

    Other tools have no layer that turns maps into rows and keeps a batch, so heads for them are such convolutions.
    internal: gates, whose operation would show maps. Returns the order of execution.
    """
    longer = []
    for name in order:
        if (
            isinstance(nodes[name], nir.Output)
            and shapes[name][1:] == (1, 1)
            and all(isinstance(nodes[source], nir.Conv2d) and source not in internal for source in sources[name])
        ):
            row = f"{name}.row"
            while row in nodes:
                row += "'"
            nodes[row] = nir.Flatten({"input": np.array(shapes[name])}, start_dim=0)
            sources[row], sources[name] = sources[name], [row]
            shapes[row] = shapes[name] = shapes[name][:1]
            longer.append(row)
        longer.append(name)
    return longer


def node_shapes(graph: nir.NIRGraph) -> dict[str, Shape]:
    """The shape of what each node of a graph gives, without time and batch; of nested graphs what they declare.

    Raises GraphError for an unsupported node, a cycle and shapes that do not fit.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    feedback = feedback_edges(graph.nodes, sources)
    shapes: dict[str, Shape] = {name: spiking(name, graph.nodes[name]).shape(graph.nodes[name]) for name, _ in feedback}
    for name in execution_order(graph.nodes, sources, feedback):
        node = graph.nodes[name]
        if isinstance(node, nir.NIRGraph):
            shapes[name] = tuple(int(n) for n in np.reshape(next(iter(node.output_type.values())), -1))
        else:
            arriving = _arriving(name, node, sources[name], shapes)
            shapes[name] = _known_kind(name, node).output_shape(name, node, *arriving)
    return shapes


def inline(graph: nir.NIRGraph) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """All nodes of a graph and of those nested in it, of any kind, and the sources of each; shapes are not looked at.

    Raises GraphError for an edge to nowhere, a name that two nodes have, and parameters that NIR does not have.
    """
    inlined = _Inlined(fused=False, chip=LOIHI_2, trust_marks=False, known_only=False)
    inlined.inline(graph)
    return inlined.without_ports()


def _known_kind(name: str, node: Any) -> NodeKind:
    kind = kind_of(node)
    if kind is None:
        names = {known.__name__ for known in node_kinds() if known is not Operation}
        supported = ", ".join(sorted(names | {"NIRGraph"}))
        raise GraphError(f"node '{name}' is a {type(node).__name__}, which is not supported; supported: {supported}")
    return kind


def _arriving(name: str, node: Any, sources: list[str], shapes: dict[str, Shape]) -> tuple[str, Shape]:
    """The first source and the shape of what arrives, which all sources must share."""
    if isinstance(node, nir.Input):
        if sources:
            raise GraphError(f"node '{name}' is the Input, but an edge leads to it from '{sources[0]}'")
        return "", ()
    if not sources:
        raise GraphError(f"node '{name}' has no input edge")
    first, *others = sources
    for other in others:
        if shapes[other] != shapes[first]:
            raise GraphError(
                f"node '{name}' sums '{first}' of shape {shapes[first]} and '{other}' of shape {shapes[other]}"
            )
    return first, shapes[first]


@dataclass
class _Inlined:
    """Nested graphs made flat. internal: the gates of the marked ones; ports: nested Inputs and Outputs, by name."""

    fused: bool
    chip: Chip
    trust_marks: bool
    known_only: bool = True
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    internal: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)

    def inline(self, graph: nir.NIRGraph, prefix: str = "", depth: int = 0, *, internal: bool = False) -> None:
        """Add all nodes and edges of a graph, whose nodes are named with a prefix. internal: they are gates."""
        if depth > DEEPEST:
            raise GraphError(f"nested graph '{prefix[:-1]}' is {depth} graphs deep; {DEEPEST} is the limit")
        entries: dict[str, str] = {}  # nested graph -> its Input
        exits: dict[str, str] = {}  # nested graph -> its Output
        for key, node in graph.nodes.items():
            name = prefix + key
            if not isinstance(node, nir.NIRGraph):
                if self.known_only:
                    _known_kind(name, node)
                if self.known_only or not _is_untyped_port(node):
                    check_node(name, node)
                self._add(name, node, internal)
                continue
            if self.trust_marks and _has_no_gates(node) and (trusted := marked_operation(name, node)):
                self._add(name, trusted, internal)
                continue
            entries[key], exits[key] = (_port(name, node, kind) for kind in (nir.Input, nir.Output))
            if operation := self._proven_operation(name, node):
                self._add(name, operation, internal)
                del entries[key], exits[key]
                continue
            self.ports |= {f"{name}.{entries[key]}", f"{name}.{exits[key]}"}
            self.inline(node, f"{name}.", depth + 1, internal=internal or mark_of(node) is not None)
        for edge in graph.edges:
            source, target = edge
            for end in edge:
                if end not in graph.nodes:
                    raise GraphError(f"an edge of the graph names node '{prefix + end}', which does not exist")
            into = f"{target}.{entries[target]}" if target in entries else target
            out = f"{source}.{exits[source]}" if source in exits else source
            self.edges.append((prefix + out, prefix + into))

    def _add(self, name: str, node: Any, internal: bool) -> None:
        if not name or name.encode(errors="replace").decode() != name:
            raise GraphError(f"node {name!r} has a name that is no text; every node needs one, in Unicode")
        if name in self.nodes:
            raise GraphError(f"node '{name}' exists twice: as it is, and inside a nested graph")
        self.nodes[name] = node
        if internal:
            self.internal.add(name)

    def without_ports(self) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """The nodes and the sources of each; a nested Input or Output only passes on what arrives at it."""
        sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            sources[target].append(source)
        count = 0
        between = {port: [source for source in sources[port] if source in self.ports] for port in self.ports}
        inner = [name for name in self.nodes if name not in self.ports] if self.ports else []
        for name in (*execution_order(between, between), *inner):
            sources[name] = [
                s for source in sources[name] for s in (sources[source] if source in self.ports else [source])
            ]
            count += len(sources[name])
            if count > MOST_EDGES:
                raise GraphError(f"nested graphs multiply to more than {MOST_EDGES:,} edges at '{name}'")
        nodes = {name: node for name, node in self.nodes.items() if name not in self.ports}
        return nodes, {name: sources[name] for name in nodes}

    def _proven_operation(self, name: str, graph: nir.NIRGraph) -> Operation | None:
        """What runs in the place of a nested graph, if anything may."""
        operation = marked_operation(name, graph) if self.fused else None
        if operation is None:
            return None
        proven = check_mark(name, operation, graph, lambda: flatten(graph, chip=self.chip))
        return operation if proven else None


def _is_untyped_port(node: Any) -> bool:
    """Whether a tool has left it to others to find out what arrives or leaves."""
    types = node.input_type if isinstance(node, (nir.Input, nir.Output)) else {}
    return any(shape is None for shape in types.values())


def _has_no_gates(graph: nir.NIRGraph) -> bool:
    return all(isinstance(node, (nir.Input, nir.Output)) for node in graph.nodes.values())


def _port(name: str, graph: nir.NIRGraph, kind: type) -> str:
    found = [key for key, node in graph.nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise GraphError(f"nested graph '{name}' has {len(found)} {kind.__name__} nodes; it needs one")
    check_node(f"{name}.{found[0]}", graph.nodes[found[0]])
    return found[0]


def without_gates(graph: nir.NIRGraph, proven: Collection[str], prefix: str = "") -> nir.NIRGraph:
    """The same graph with nested graphs whose marks are proven reduced to their ports, for a process of ours to run.

    proven: their flat names (`FlatGraph.operations`). The result is to be flattened with trust_marks.
    """
    nodes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            if prefix + name in proven:
                ports = {n: port for n, port in node.nodes.items() if isinstance(port, (nir.Input, nir.Output))}
                node = nir.NIRGraph(ports, [], metadata=node.metadata, type_check=False)
            else:
                node = without_gates(node, proven, f"{prefix}{name}.")
        nodes[name] = node
    return nir.NIRGraph(nodes, graph.edges, metadata=graph.metadata, type_check=False)
