"""A NIR graph of any tool -> float network, by the meaning of its nodes and not by anyone's habits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from hardware.graph.cycles import apart, execution_order, feedback_edges
from hardware.graph.flatten import inline
from hardware.graph.neuron import TIME_STEP
from hardware.graph.parameters import check_size
from hardware.graph.sequence_encoding import SequenceEncoding

from ..errors import ExportError
from ..network.cells import Cell, RecurrentCell
from ..network.float_network import FloatNetwork
from ..network.layers import Delay, Reshape, WindowSum
from ..network.node_network import INPUT, OUTPUT
from ..network.output import Output
from .nodes import Reading, Shape, module_of

RESERVED = {*vars(FloatNetwork(SequenceEncoding("", (1,))))}  # attributes, which no module may have
UNSAID = (
    "NIR has no field for a reset by subtraction or for several spikes a time step: here a spike resets the membrane "
    "to v_reset, and there is one at most"
)


@torch.no_grad()
def from_nir(
    graph: nir.NIRGraph, *, time_step: float = TIME_STEP, unit_gain: bool = False, name: str = "network"
) -> FloatNetwork:
    """The float network of a NIR graph, in float64: each node is what NIR says it is, by Euler's rule.

    graph: of Conv1d, Conv2d, Linear, Affine, Scale, SumPool2d, AvgPool2d, Flatten, Delay, Threshold, IF, LIF, CubaLIF,
    I, LI, CubaLI and nested graphs, with one Input and one Output; a cycle through one population is a time step.
    time_step: seconds. unit_gain: a step of an IF with r = 1 adds its input, as many tools mean it. name: for errors.

    For each step, with x the sum of what arrives:
        LIF       v <- v + time_step / tau (v_leak - v + r x)
        IF        v <- v + time_step r x
        CubaLIF   I <- I + time_step / tau_syn (w_in x - I);  v <- v + time_step / tau_mem (v_leak - v + r I)
    spike iff v > v_threshold (strict), then v <- v_reset, from which it starts. The network takes inputs
    [T, B, *input shape]; populations keep their names, the Input is called `input` and the Output `output`.
    Raises ExportError or GraphError, naming node and value, for a graph without such a meaning.
    """
    if not 0 < time_step < float("inf"):
        raise ExportError(f"time_step is {time_step}; it must be a finite number of seconds above 0")
    nodes, sources = inline(graph)
    entry, exit_ = (_only(nodes, kind) for kind in (nir.Input, nir.Output))
    if sources[entry]:
        raise ExportError(f"node '{entry}' is the Input, but an edge leads to it from '{sources[entry][0]}'")
    for node_name in nodes:
        if node_name != entry and not sources[node_name]:
            raise ExportError(f"node '{node_name}' has no input edge")
    return _Builder(nodes, sources, entry, exit_, Reading(time_step, unit_gain), name).build()


def _only(nodes: dict[str, Any], kind: type) -> str:
    found = [name for name, node in nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise ExportError(
            f"the graph has {len(found)} {kind.__name__} nodes ({', '.join(found) or 'none'}); it needs one"
        )
    return found[0]


@dataclass
class _Builder:
    """A flat graph on its way to a network."""

    nodes: dict[str, Any]
    sources: dict[str, list[str]]
    entry: str
    exit: str
    reading: Reading
    name: str

    def build(self) -> FloatNetwork:
        """The network."""
        feedback = feedback_edges(self.nodes, self.sources)
        apart(self.nodes, self.sources, feedback)
        self.readers: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, sources in self.sources.items():
            for source in sources:
                self.readers[source].append(name)
        order = execution_order(self.nodes, self.sources, feedback)
        self.returning = {
            cell: sorted(self._way(cell, feedback), key=order.index) for cell in {source for source, _ in feedback}
        }
        inside = {name for way in self.returning.values() for name in way}
        order = [name for name in order if name not in inside]
        self.shapes: dict[str, Shape] = {self.entry: self._input_shape()}
        self.modules: dict[str, nn.Module] = {}
        network = FloatNetwork(SequenceEncoding(self.name, self.shapes[self.entry]))
        names = {self.entry: INPUT}
        for name in order:
            if name == self.entry:
                continue
            outer = [source for source in self.sources[name] if source not in inside]
            self._understand(name, outer)
            if name == self.exit:
                output = Output(all(self._gives_integers(source) for source in outer))
                names[name] = network.add(OUTPUT, output, [names[source] for source in outer])
                continue
            module = self.modules[name]
            if isinstance(module, Cell) and name in self.returning:
                module = RecurrentCell(module, self._ways(name))
            names[name] = network.add(self._own_name(network, name), module, [names[s] for s in outer])
        return network.eval()

    def _gives_integers(self, name: str) -> bool:
        """Whether a node gives spikes, in whatever shape and whenever, or sums of them."""
        module = self.modules.get(name)  # None: the input
        if isinstance(module, Cell):
            return module.fires
        passes = isinstance(module, (Reshape, Delay)) or (isinstance(module, WindowSum) and module.share == 1.0)
        return passes and all(self._gives_integers(source) for source in self.sources[name])

    def _own_name(self, network: FloatNetwork, name: str) -> str:
        """A node's name, unless the network has another use for it: nodes become modules, at the path of their name."""
        path = [part or "_" for part in name.split(".")]
        taken = {INPUT, OUTPUT, *(node.name for node in network.nodes)}
        while hasattr(FloatNetwork, path[0]) or path[0] in RESERVED or ".".join(path) in taken:
            path[-1 if ".".join(path) in taken else 0] += "'"
        return ".".join(path)

    def _way(self, cell: str, feedback: Collection[tuple[str, str]]) -> list[str]:
        """The nodes without memory on the ways from a population back to itself."""
        way = dict.fromkeys(target for source, target in feedback if source == cell)
        ahead = list(way)
        for name in ahead:  # which grows on the way
            new = [reader for reader in self.readers[name] if reader != cell and reader not in way]
            way |= dict.fromkeys(new)
            ahead += new
        for name in way:
            if outside := [source for source in self.sources[name] if source not in way and source != cell]:
                raise ExportError(f"node '{name}' is on a cycle through '{cell}', and reads '{outside[0]}' as well")
        return list(way)

    def _understand(self, name: str, outer: list[str]) -> None:
        """The module and the shape of a node, and of those through which it hears itself."""
        shape = self._arriving(name, outer)
        self.modules[name] = Output() if name == self.exit else self._module(name, shape)
        self.shapes[name] = _shape_after(self.modules[name], shape)
        for inner in self.returning.get(name, []):
            arriving = self._arriving(inner, self.sources[inner])
            module = self._module(inner, arriving)
            self.modules[inner] = module
            self.shapes[inner] = _shape_after(module, arriving)
            for reader in self.readers[inner]:
                if reader == name and self.shapes[inner] != shape:
                    raise ExportError(f"node '{name}' sums {shape} and '{inner}' of shape {self.shapes[inner]}")

    def _module(self, name: str, shape: Shape) -> nn.Module:
        node = self.nodes[name]
        if isinstance(node, nir.Flatten):
            node = self._whole_flatten(name, node, shape)
        return module_of(name, node, shape, self.reading)

    def _whole_flatten(self, name: str, node: nir.Flatten, shape: Shape) -> nir.Flatten:
        """A tool that counts the batch as a dimension begins at 1: what reads the result tells."""
        for reader in self.readers[name]:
            read_by = self.nodes[reader]
            if isinstance(read_by, (nir.Linear, nir.Affine)) and read_by.weight.shape[1] == np.prod(shape):
                return nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)
        return node

    def _arriving(self, name: str, sources: list[str]) -> Shape:
        first, *others = sources
        for other in others:
            if self.shapes[other] != self.shapes[first]:
                shapes = f"'{first}' of shape {self.shapes[first]} and '{other}' of shape {self.shapes[other]}"
                raise ExportError(f"node '{name}' sums {shapes}")
        return self.shapes[first]

    def _ways(self, cell: str) -> list[dict[str, nn.Module]]:
        """Each way back to a population, as modules in a row."""
        ways = []
        for first in dict.fromkeys(self.readers[cell]):
            if first not in self.returning[cell]:
                continue
            way, name = {}, first
            while name != cell:
                way[name] = self.modules[name]
                readers = list(dict.fromkeys(self.readers[name]))
                if len(readers) != 1 or len(self.sources[name]) != 1:
                    raise ExportError(f"node '{name}' on a cycle through '{cell}' branches, which is not supported")
                name = readers[0]
            ways.append(way)
        return ways

    def _input_shape(self) -> Shape:
        """What the Input says, or what reads it needs; a batch that a tool has left in is dropped."""
        declared = self.nodes[self.entry].input_type.get("input")
        needed = next((s for r in self.readers[self.entry] if (s := _needed(self.nodes[r], declared))), None)
        if declared is None and needed is None:
            raise ExportError(f"node '{self.entry}' has no shape, and nothing that reads it says which")
        shape = needed if declared is None else tuple(int(n) for n in np.ravel(declared))
        assert shape is not None
        dimensions = len(shape) if needed is None else len(needed)
        if needed is None or shape[-dimensions:] == needed:
            shape = shape[-dimensions:]
        check_size(self.entry, shape)
        return shape


def _needed(node: Any, declared: Any) -> Shape | None:
    """The shape that a node needs of what arrives, as far as its own parameters say."""
    if isinstance(node, (nir.Linear, nir.Affine)):
        return (int(node.weight.shape[1]),)
    if isinstance(node, (nir.Conv1d, nir.Conv2d)):
        channels, directions = int(node.weight.shape[1]) * int(node.groups), node.weight.ndim - 2
        size = node.input_shape
        if size is None and declared is not None:
            size = np.ravel(declared)[-directions:]
        return None if size is None else (channels, *(int(n) for n in np.ravel(size)))
    for field in ("v_threshold", "threshold", "r", "scale"):
        value = getattr(node, field, None)
        shape = () if value is None else np.shape(value)
        if shape:
            return tuple(int(n) for n in shape)
    return None


def _shape_after(module: nn.Module, shape: Shape) -> Shape:
    """The shape that a module gives, without time and batch."""
    if isinstance(module, (Cell, Delay, Output)):
        return shape
    if isinstance(module, Reshape):
        return module.shape
    given = module(torch.zeros(1, 1, *shape, dtype=torch.float64))
    return tuple(given.shape[2:])
