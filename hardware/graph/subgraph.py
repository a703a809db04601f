"""Some populations of a NIR graph as a graph of their own, fed with given spikes instead of their predecessors'.

What the populations read from outside arrives on one Input, stacked along the channels. Maps of unequal size are
padded at the bottom and the right; a Conv2d of ones and zeros takes each source out of the stack again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import nir
import numpy as np

from .operations import Operation
from .populations import PopulationGraph

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Subgraph:
    """graph: standard NIR with the nodes' own names; sources: what its Input stacks, in order, with their shapes."""

    graph: nir.NIRGraph
    populations: tuple[str, ...]
    sources: dict[str, Shape]

    def inputs(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What to run it on: values [T, B, ...] of the sources by name -> int32 [T, B, C, H, W], or as they are."""
        arrays = [np.asarray(values[source]) for source in self.sources]
        if len(arrays) == 1:
            return arrays[0]
        channels, height, width = _stacked(self.sources)
        steps = arrays[0].shape[:2]
        stack, first = np.zeros((*steps, channels, height, width), np.int32), 0
        for array in arrays:
            maps = array.reshape(*steps, *_as_map(array.shape[2:]))
            stack[:, :, first : first + maps.shape[2], : maps.shape[3], : maps.shape[4]] = maps
            first += maps.shape[2]
        return stack


def subgraph(network: PopulationGraph, populations: Collection[str]) -> Subgraph:
    """The populations and the linear nodes that lead to them; an Output reads the last, if none is among them."""
    flat = network.flat
    chosen = [name for name in network.populations if name in populations]
    kept = {node for name in chosen for node in (*network.path(name), name)}
    outside = {source for name in chosen for source in network.sources(name)} - set(chosen)
    sources = {name: flat.shapes[name] for name in flat.nodes if name in outside}
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    ends = {}  # source -> the node that gives its values
    if len(sources) == 1:
        (source,) = sources
        nodes[flat.input_name] = nir.Input({"input": np.array(sources[source])})
        ends[source] = flat.input_name
    else:
        nodes[flat.input_name] = nir.Input({"input": np.array(_stacked(sources))})
        first = 0
        for source, shape in sources.items():
            ends[source] = _take(nodes, edges, flat.input_name, source, shape, first, _stacked(sources))
            first += _as_map(shape)[0]
    for node in flat.nodes:
        if node in kept:
            fused = isinstance(flat.nodes[node], Operation)
            nodes[node] = _node(network.graph, node) if fused else flat.nodes[node]
            edges += [(ends.get(source, source), node) for source in flat.sources[node]]
    if not any(isinstance(node, nir.Output) for node in nodes.values()):
        nodes["output"] = nir.Output({"output": np.array(flat.shapes[chosen[-1]])})
        edges.append((chosen[-1], "output"))
    return Subgraph(nir.NIRGraph(nodes, edges, type_check=False), tuple(chosen), sources)


def _stacked(sources: Mapping[str, Shape]) -> Shape:
    maps = [_as_map(shape) for shape in sources.values()]
    return (sum(m[0] for m in maps), max(m[1] for m in maps), max(m[2] for m in maps))


def _as_map(shape: Shape) -> Shape:
    return shape if len(shape) == 3 else (*shape, 1, 1)


def _take(
    nodes: dict[str, nir.NIRNode],
    edges: list[tuple[str, str]],
    stack: str,
    source: str,
    shape: Shape,
    first: int,
    stacked: Shape,
) -> str:
    """Add the Conv2d that takes a source out of the stack; its kernel is what the source's map is smaller by."""
    channels, height, width = _as_map(shape)
    kernel = (stacked[1] - height + 1, stacked[2] - width + 1)
    weight = np.zeros((channels, stacked[0], *kernel), np.float32)
    weight[np.arange(channels), first + np.arange(channels), 0, 0] = 1
    taken = f"{source}.taken"
    nodes[taken] = nir.Conv2d(stacked[1:], weight, (1, 1), (0, 0), (1, 1), 1, np.zeros(channels, np.float32))
    edges.append((stack, taken))
    if len(shape) == 3:
        return taken
    nodes[f"{taken}.flat"] = nir.Flatten({"input": np.array([channels, height, width])}, start_dim=0)
    edges.append((taken, f"{taken}.flat"))
    return f"{taken}.flat"


def _node(graph: nir.NIRGraph, name: str) -> nir.NIRNode:
    """A node of a graph by its flat name, `outer.inner` inside nested graphs."""
    if name in graph.nodes:
        return graph.nodes[name]
    for outer, nested in graph.nodes.items():
        if isinstance(nested, nir.NIRGraph) and name.startswith(f"{outer}."):
            try:
                return _node(nested, name.removeprefix(f"{outer}."))
            except KeyError:  # another nested graph whose name begins alike
                continue
    raise KeyError(name)
