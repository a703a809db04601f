"""The profile: a graph rewritten into nodes that every tool reads and executes alike, still standard NIR.

Measured with the tools named in docs/interoperability.md. Each rewrite gives the same values, so the same spikes:

    Threshold            a LIF that forgets: tau = time step * (1 + 2^-21), which leaves less than 2^-7 of a membrane
    LIF                  r = 1 (Norse ignores r): v_threshold, v_reset and v_leak are divided by r
    SumPool2d, padded    a Conv2d of ones (tools drop the padding of a pool)
    sum over a whole map, given at every position     SumPool2d, then a Conv2d of ones on the 1x1 map
    Scale                a 1x1 Conv2d
    Flatten, then Affine or Linear                    a Conv2d that sees the whole map (tools flatten the batch, too)

A Conv2d is dense: no tool but ours reads groups alike. Where one would hold more than `MOST_WEIGHTS` weights the node
stays as it is, and other tools stop there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from .flatten import flatten, node_shapes
from .gates.primitives import everywhere
from .neuron import TIME_STEP, distinct
from .synapse import WindowSum
from .windows import Shape, Window

MOST_WEIGHTS = 1 << 24  # of one Conv2d that a rewrite makes
FORGETS = 1 + 2.0**-21  # tau in time steps: more than 1, as SpikingJelly asks, and 1 in the 12 bits of a decay
RESOLUTION = 2.0**-6  # of sums and membranes: half of it above what must not fire, > and >= agree


def portable(graph: nir.NIRGraph, *, inline: bool = False) -> nir.NIRGraph:
    """The same network in nodes that every tool reads; the names of populations stay.

    inline: nested graphs become part of the graph, as other tools need them; else they stay, as they are. NIR's own
    check of types is left to the caller.
    Raises GraphError for a graph that cannot be executed.
    """
    if inline:
        flat = flatten(graph, floating_point=True)
        nodes = {name: flat.nodes[name] for name in flat.nodes}
        edges = [(source, name) for name, sources in flat.sources.items() for source in sources]
        shapes = flat.shapes
    else:
        nodes, edges, shapes = dict(graph.nodes), list(graph.edges), node_shapes(graph)
    rewriting = _Rewriting(nodes, edges, shapes)
    rewriting.run()
    return nir.NIRGraph(rewriting.nodes, rewriting.edges, metadata=dict(graph.metadata), type_check=False)


@dataclass
class _Rewriting:
    """Nodes and edges while they change. shapes: of what each node gives, without time and batch."""

    nodes: dict[str, Any]
    edges: list[tuple[str, str]]
    shapes: dict[str, Shape]
    gone: set[str] = field(default_factory=set)

    def run(self) -> None:
        for name, node in list(self.nodes.items()):
            if name in self.gone:
                continue
            if isinstance(node, nir.Threshold):
                self.nodes[name] = _forgetful(node)
            elif isinstance(node, nir.LIF):
                self.nodes[name] = _without_resistance(node)
            elif isinstance(node, nir.SumPool2d):
                self._pool(name, node)
            elif isinstance(node, nir.Scale):
                self._scale(name, node)
            elif isinstance(node, (nir.Affine, nir.Linear)):
                self._dense(name, node)
        self._outputs()

    def _sources(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]

    def _readers(self, name: str) -> list[str]:
        return [target for source, target in self.edges if source == name]

    def _in_shape(self, name: str) -> Shape:
        return self.shapes[self._sources(name)[0]]

    def _pool(self, name: str, node: nir.SumPool2d) -> None:
        window = Window.of(node.kernel_size, node.stride, node.padding)
        if window.padding == (0, 0):
            return  # every tool reads that
        channels, *size = shape = self._in_shape(name)
        if WindowSum(window, shape, self.shapes[name]).sees_everything:
            total_of_map = nir.SumPool2d(np.array(size), np.array(size), np.array([0, 0]))
            rows, columns = self.shapes[name][1:]
            if rows == columns == 1:
                self.nodes[name] = total_of_map
                return
            spread = _ones(channels, Window((rows, columns), padding=(rows - 1, columns - 1)), (1, 1))
            if spread is not None:
                total = self._new_name(f"{name}.total")
                self.nodes[total] = total_of_map
                self.shapes[total] = (channels, 1, 1)
                self.edges = [(source, total if target == name else target) for source, target in self.edges]
                self.edges.append((total, name))
                self.nodes[name] = spread
        elif (ones := _ones(channels, window, tuple(size))) is not None:
            self.nodes[name] = ones

    def _scale(self, name: str, node: nir.Scale) -> None:
        shape = self.shapes[name]
        factors = np.asarray(node.scale)
        if len(shape) != 3 or shape[0] ** 2 > MOST_WEIGHTS or (factors != factors[:, :1, :1]).any():
            return  # a factor for each position is no convolution
        weight = np.diag(factors[:, 0, 0]).astype(np.float32)
        self.nodes[name] = _convolution(weight[:, :, None, None], np.zeros(shape[0], np.float32), shape[1:])

    def _dense(self, name: str, node: nir.Affine | nir.Linear) -> None:
        """Behind a Flatten of maps, and read by Outputs alone."""
        sources = self._sources(name)
        flatten_node = self.nodes.get(sources[0]) if len(sources) == 1 else None
        if not isinstance(flatten_node, nir.Flatten) or self._readers(sources[0]) != [name]:
            return
        shape = self._in_shape(sources[0])
        only_read = all(isinstance(self.nodes[reader], nir.Output) for reader in self._readers(name))
        if len(shape) != 3 or shape[1] != shape[2] or len(self.shapes[sources[0]]) != 1 or not only_read:
            return
        weight = np.asarray(node.weight)
        bias = getattr(node, "bias", None)
        bias = np.zeros(len(weight), weight.dtype) if bias is None else np.asarray(bias)
        self._take_out(sources[0])
        self.nodes[name] = _convolution(weight.reshape(len(weight), *shape), bias, shape[1:])
        self.shapes[name] = (len(weight), 1, 1)

    def _take_out(self, name: str) -> None:
        """Remove a node that has one reader; what it reads is read by that."""
        (reader,) = self._readers(name)
        sources = self._sources(name)
        self.edges = [edge for edge in self.edges if name not in edge] + [(source, reader) for source in sources]
        del self.nodes[name]
        self.gone.add(name)

    def _outputs(self) -> None:
        """An Output shows what arrives; of a Conv2d that sees the whole map, rows without a Flatten (flatten.py)."""
        for name, node in list(self.nodes.items()):
            if not isinstance(node, nir.Output):
                continue
            for source in self._sources(name):
                row = isinstance(self.nodes[source], nir.Flatten) and self._in_shape(source)[1:] == (1, 1)
                read = [self.nodes[before] for before in self._sources(source)]
                if row and self._readers(source) == [name] and all(isinstance(node, nir.Conv2d) for node in read):
                    self._take_out(source)
            self.nodes[name] = nir.Output({"output": np.array(self._in_shape(name))})

    def _new_name(self, name: str) -> str:
        while name in self.nodes:
            name += "'"
        return name


def _forgetful(node: nir.Threshold) -> nir.LIF:
    """Fires where the sum is above the threshold; of the sum before, less than 2^-7 is left."""
    above = np.floor(_narrow(node.threshold) / RESOLUTION) * RESOLUTION + RESOLUTION / 2
    shape = np.shape(node.threshold)
    zero = everywhere(0.0, shape)
    threshold = np.broadcast_to((above / FORGETS).astype(np.float32), shape)
    return nir.LIF(everywhere(TIME_STEP * FORGETS, shape), everywhere(1.0, shape), zero, threshold, zero)


def _without_resistance(node: nir.LIF) -> nir.LIF:
    """tau dv/dt = v_leak - v + r I, divided by r."""
    r = np.asarray(node.r, np.float64)
    if (r == 1).all() or not (r > 0).all():
        return node
    scaled = {field: _divided(getattr(node, field), r) for field in ("v_leak", "v_threshold", "v_reset")}
    return nir.LIF(tau=node.tau, r=everywhere(1.0, r.shape), **scaled)


def _divided(values: np.ndarray, r: np.ndarray) -> np.ndarray:
    """values / r in the type of the values where that holds it exactly, else in float64."""
    exact = _narrow(np.asarray(values, np.float64)) / _narrow(r)
    narrow = exact.astype(np.asarray(values).dtype)
    return np.broadcast_to(narrow if (narrow == exact).all() else exact, np.shape(values))


def _narrow(parameter: Any) -> np.ndarray:
    """A parameter in float64: one element, [1, 1, ...], where it is alike for all neurons."""
    parameter = np.asarray(parameter, np.float64)
    one = distinct(parameter)
    return one.reshape((1,) * parameter.ndim) if one is not parameter else parameter


def _ones(channels: int, window: Window, size: tuple[int, ...]) -> nir.Conv2d | None:
    """A sum over each window as a Conv2d; None where it would be too large or its kernel cannot be square.

    NIR 1.0.8 infers the shape of a Conv2d from the height of its kernel alone, so the shorter side of the kernel is
    filled up with zeros on both ends, which must be as many.
    """
    side = max(window.kernel)
    if any((side - n) % 2 for n in window.kernel) or (channels * side) ** 2 > MOST_WEIGHTS:
        return None
    top, left = ((side - n) // 2 for n in window.kernel)
    weight = np.zeros((channels, channels, side, side), np.float32)
    own = np.arange(channels)
    weight[own, own, top : top + window.kernel[0], left : left + window.kernel[1]] = 1
    padding = (window.padding[0] + top, window.padding[1] + left)
    return nir.Conv2d(size, weight, window.stride, padding, (1, 1), 1, np.zeros(channels, np.float32))


def _convolution(weight: np.ndarray, bias: np.ndarray, size: Any) -> nir.Conv2d:
    return nir.Conv2d(tuple(size), weight, (1, 1), (0, 0), (1, 1), 1, bias)
