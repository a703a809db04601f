"""A NIR graph as a flat list of nodes in execution order, checked before anything runs.

Nested graphs are inlined (their nodes are named `outer.inner`), edges into one node are its sources, whose
values are summed. Every error names the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

from .fixed_point import check_integer, check_weights

NEURONS = (nir.LIF, nir.IF, nir.Threshold)
WEIGHTED = (nir.Conv2d, nir.Linear, nir.Affine)
LINEAR = (*WEIGHTED, nir.SumPool2d, nir.AvgPool2d, nir.Scale)
SUPPORTED = (nir.Input, nir.Output, *LINEAR, nir.Flatten, *NEURONS, nir.NIRGraph)


class GraphError(ValueError):
    """A graph that cannot be executed; the message names the node or file and what is wrong with it."""


@dataclass(frozen=True)
class FlatGraph:
    """nodes in execution order; the sources of each (a source named twice counts twice); output shapes."""

    nodes: dict[str, nir.NIRNode]
    sources: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, ...]]

    @property
    def input_name(self) -> str:
        """The name of the graph's only Input node."""
        return next(name for name, node in self.nodes.items() if isinstance(node, nir.Input))

    def names_of(self, *kinds: type) -> list[str]:
        """Names of all nodes of these kinds, in execution order."""
        return [name for name, node in self.nodes.items() if isinstance(node, kinds)]


def read_graph(path: str | Path) -> nir.NIRGraph:
    """`nir.read` with type checking; GraphError in one line for a file that is missing, damaged or not NIR."""
    path = Path(path)
    if not path.is_file():
        raise GraphError(f"{path}: no such file")
    try:
        graph = nir.read(path)
    except Exception as error:  # h5py and nir raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(f"{path}: not a readable NIR file: {reason}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError(f"{path}: holds a single {type(graph).__name__} node, not a graph")
    return graph


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """Inline nested graphs, sort, and check every node, number and shape of an integer network.

    Raises GraphError for an unsupported node, an edge to nowhere, a cycle, a missing Input or Output and
    shapes that do not fit; RangeError for weights that are not 8-bit whole numbers.
    """
    nodes, edges = _inline(graph, "")
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
        _check_numbers(name, nodes[name])
        shapes[name] = _output_shape(name, nodes[name], [(s, shapes[s]) for s in sources[name]])
    return FlatGraph({name: nodes[name] for name in order}, {n: tuple(sources[n]) for n in order}, shapes)


def pair(value) -> tuple[int, int]:
    """(height, width) from NIR's scalar, array or tuple."""
    values = np.broadcast_to(np.asarray(value, dtype=np.int64).reshape(-1), (2,))
    return int(values[0]), int(values[1])


def conv_geometry(node: nir.Conv2d) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(stride, padding, dilation) of a Conv2d as (height, width) pairs; padding 'same' and 'valid' resolved."""
    stride, dilation = pair(node.stride), pair(node.dilation)
    if not isinstance(node.padding, (str, bytes)):
        return stride, pair(node.padding), dilation
    if str(node.padding) == "valid":
        return stride, (0, 0), dilation
    spans = [d * (k - 1) for d, k in zip(dilation, node.weight.shape[2:], strict=True)]
    if any(span % 2 for span in spans) or stride != (1, 1):
        raise GraphError(
            "a Conv2d with padding 'same' needs an odd kernel and stride 1; give the padding in numbers"
        )
    return stride, (spans[0] // 2, spans[1] // 2), dilation


def _inline(graph: nir.NIRGraph, prefix: str) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
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
        inner_nodes, inner_edges = _inline(node, f"{name}.")
        ports = {}
        for kind in (nir.Input, nir.Output):
            found = [n for n in inner_nodes if isinstance(inner_nodes[n], kind)]
            if len(found) != 1:
                raise GraphError(f"nested graph '{name}' has {len(found)} {kind.__name__} nodes; it needs one")
            ports[kind] = found[0]
        entries[name], exits[name] = ports[nir.Input], ports[nir.Output]
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


def _check_numbers(name: str, node: nir.NIRNode) -> None:
    if isinstance(node, WEIGHTED):
        check_weights(name, node.weight)
    if isinstance(node, nir.Scale):
        check_weights(name, node.scale)
    if isinstance(node, (nir.Conv2d, nir.Affine)):
        check_integer(name, "bias", node.bias)


def _output_shape(name: str, node: nir.NIRNode, sources: list[tuple[str, tuple[int, ...]]]) -> tuple[int, ...]:
    if isinstance(node, nir.Input):
        return tuple(int(n) for n in np.asarray(node.input_type["input"]).reshape(-1))
    if not sources:
        raise GraphError(f"node '{name}' has no input edge")
    first, shape = sources[0]
    for other, other_shape in sources[1:]:
        if other_shape != shape:
            raise GraphError(f"node '{name}' sums '{first}' of shape {shape} and '{other}' of shape {other_shape}")

    def expect(wanted: tuple[int, ...]) -> None:
        if shape != wanted:
            raise GraphError(f"node '{name}' needs an input of shape {wanted}, but '{first}' gives {shape}")

    if isinstance(node, nir.Output):
        return shape
    if isinstance(node, NEURONS):
        expect(tuple(getattr(node, "v_threshold", getattr(node, "threshold", None)).shape))
        return shape
    if isinstance(node, nir.Scale):
        expect(tuple(node.scale.shape))
        return shape
    if isinstance(node, (nir.Linear, nir.Affine)):
        if node.weight.ndim != 2:
            raise GraphError(f"node '{name}' has a weight of {node.weight.ndim} dimensions; 2 are supported")
        expect((node.weight.shape[1],))
        return (node.weight.shape[0],)
    if isinstance(node, nir.Flatten):
        start, end = int(node.start_dim), int(node.end_dim)
        end = end % len(shape)
        return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
    if len(shape) != 3:
        raise GraphError(f"node '{name}' needs an input [channels, height, width], but '{first}' gives {shape}")
    if isinstance(node, nir.Conv2d):
        expect((node.weight.shape[1] * int(node.groups), *shape[1:]))
        stride, padding, dilation = conv_geometry(node)
        channels, kernel = node.weight.shape[0], node.weight.shape[2:]
    else:
        kernel, stride, padding, dilation = (
            pair(node.kernel_size),
            pair(node.stride),
            pair(node.padding),
            (1, 1),
        )
        channels = shape[0]
    size = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(shape[1:], padding, dilation, kernel, stride, strict=True)
    )
    if min(size) < 1:
        raise GraphError(f"node '{name}' has a kernel {tuple(kernel)} larger than its padded input {shape}")
    return (channels, *size)
