"""A float network's way through the rules: which one each node falls under, whatever the network came from.

`RULES` has, for each type of float module, the function that finds its rule. To give another module an integer form,
add it here, and what it becomes in fixed.py and trained.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from hardware.chip import Chip
from hardware.graph.encoding import INPUT_LIMIT, Encoding
from hardware.graph.sequence_encoding import SequenceEncoding
from qkformer import Neuron
from qkformer.models.logic import Mask, SpikePool

from ..errors import ExportError
from ..network.cells import Cell, RecurrentCell
from ..network.float_layers import Convolution, Head
from ..network.float_network import FloatNetwork
from ..network.layers import CurrentPool, Delay, GroupSum, Reshape, SelfAttentionProduct, TokenSum, WindowSum
from ..network.node_network import INPUT, Node
from ..network.output import Output
from ..network.stream import Stream, find_streams, one_spike_suffices, read_stream
from ..network.synapses import FloatSynapses
from .attention import quantize_attention
from .currents import GroupQuantizer, fixed_cell
from .groups import Groups
from .layer import LayerQuantizer
from .meeting import cell_of
from .neuron import FixedNeuron
from .rules import AttentionRule, CurrentsRule, HeadRule, IntegerRule, LayerRule, NeuronRule, Rule


def find_rules(network: FloatNetwork, encoding: Encoding, chip: Chip) -> Iterator[Rule]:
    """The rules of a float network's nodes, in execution order.

    encoding: how the fixed network is fed. Raises ExportError for a node that has no integer form.
    """
    walk = Walk(network, encoding, chip)
    for node in network.nodes:
        if node.name in walk.decided:
            continue
        module = network.get_submodule(node.name)
        find = next((RULES[kind] for kind in type(module).__mro__ if kind in RULES), None)
        if find is None:
            raise ExportError(f"{node.name}: a {type(module).__name__} has no integer form; see export/quantization")
        yield find(walk, node, module)


class Walk:
    """What the rules ask of a network: what a node reads, and which nodes read it."""

    def __init__(self, network: FloatNetwork, encoding: Encoding, chip: Chip) -> None:
        self.network, self.chip, self.time_steps = network, chip, encoding.time_steps
        self.shapes = network.shapes()
        ends = (encoding.low, encoding.high) if isinstance(encoding, SequenceEncoding) else (-INPUT_LIMIT, INPUT_LIMIT)
        image = Stream((INPUT,), encoding.input_scale, *ends)
        self.streams = find_streams(network, self.shapes, {INPUT: image})
        self.groups = Groups(network, self.shapes)
        self.read_currents: dict[str, Stream] = {}  # by synapses
        self.decided: set[str] = set()  # nodes that fell under the rule of a node before

    def stream(self, node: Node, argument: int = 0) -> Stream:
        """What a node reads. Raises ExportError for currents, which have no scale yet."""
        self.check_membranes(node, node.arguments[argument])
        stream = read_stream(self.streams, node.arguments[argument])
        if stream is None:
            sources = " + ".join(node.arguments[argument])
            raise ExportError(f"{node.name} reads {sources}, currents; only one neuron can, behind its convolution")
        return stream

    def check_membranes(self, node: Node, sources: tuple[str, ...]) -> None:
        """Raise ExportError if a membrane that never fires is among what a node sums."""
        for source in sources:
            module = None if source == INPUT else self.network.get_submodule(source)
            if isinstance(module, Cell) and not module.fires:
                raise ExportError(f"{node.name} reads the membrane of {source}, which the output can alone")

    def synapse_stream(self, name: str) -> Stream:
        """What a synapse reads: a stream, or the currents of synapses before it, which are decided first."""
        node = self.groups.nodes.get(name)
        if node is None:  # on a way back: spikes
            return Stream((name,), 1.0, 0, 1)
        if name not in self.groups.sinks:
            return self.stream(node)
        if name not in self.read_currents:
            raise ExportError(f"{name} reads currents that are added to its own; give one of them a neuron")
        return self.read_currents[name]

    def only_reader(self, name: str) -> tuple[Node, nn.Module]:
        """The node that reads this one alone. Raises ExportError where several do, or it reads others as well."""
        readers = [node for node in self.network.nodes if any(name in argument for argument in node.arguments)]
        if len(readers) != 1 or readers[0].arguments != ((name,),):
            found = ", ".join(node.name for node in readers) or "nothing"
            raise ExportError(f"{name}: its currents are read by {found}; they must drive one neuron, and alone")
        return readers[0], self.network.get_submodule(readers[0].name)

    def driven(self, name: str) -> tuple[str, Neuron]:
        """The neuron that alone reads a node's currents. From here on it counts as decided."""
        node, module = self.only_reader(name)
        if not isinstance(module, Neuron):
            raise ExportError(f"{name}: its currents are read by {node.name}, which is not a neuron")
        self.decided.add(node.name)
        return node.name, module


def _layer(walk: Walk, node: Node, module: nn.Module) -> LayerRule:
    assert isinstance(module, Convolution)
    reader, pool = walk.only_reader(node.name)
    pools = isinstance(pool, CurrentPool)
    if pools:
        walk.decided.add(reader.name)
    population, neuron = walk.driven(reader.name if pools else node.name)
    quantizer = LayerQuantizer(
        name=node.name,
        population=population,
        neuron=neuron,
        stream=walk.stream(node),
        time_steps=walk.time_steps,
        compared=pools,
        chip=walk.chip,
    )
    return LayerRule(module, pool if isinstance(pool, CurrentPool) else None, reader.name, quantizer)


def _self_attention(walk: Walk, node: Node, module: nn.Module) -> AttentionRule:
    assert isinstance(module, SelfAttentionProduct)
    for argument in range(3):
        stream = walk.stream(node, argument)
        if (stream.scale, stream.low, stream.high) != (1.0, 0, 1):
            raise ExportError(f"{node.name} reads {' + '.join(stream.terms)}; self-attention takes one population each")
    channels, height, width = walk.shapes[node.name]
    largest = height * width * channels // module.heads
    population, neuron = walk.driven(node.name)
    quantized = quantize_attention(node.name, population, neuron, module.scale, largest, walk.time_steps, walk.chip)
    return AttentionRule(module, neuron, quantized, walk.chip)


def _neuron(walk: Walk, node: Node, module: nn.Module) -> NeuronRule:
    assert isinstance(module, Neuron)
    stream = walk.stream(node)
    suffices = one_spike_suffices(module, stream)
    fixed = None if suffices else FixedNeuron.of(module, stream.scale, walk.chip)
    return NeuronRule(node.name, module, fixed, stream.scale, walk.chip)


def _head(walk: Walk, node: Node, module: nn.Module) -> HeadRule:
    assert isinstance(module, Head)
    _, height, width = walk.shapes[node.arguments[0][0]]
    return HeadRule(node.name, module, walk.stream(node), height * width, walk.chip)


def _synapses(walk: Walk, node: Node, module: nn.Module) -> CurrentsRule:
    group = walk.groups.of_synapse[node.name]
    streams = {name: walk.synapse_stream(name) for name in group.synapses}
    quantized = GroupQuantizer(walk.groups, group, streams, walk.time_steps, walk.chip)()
    walk.decided |= quantized.modules.keys()
    walk.read_currents |= quantized.streams
    return CurrentsRule(quantized)


def _cell(walk: Walk, node: Node, module: nn.Module) -> IntegerRule:
    """A population that reads spikes or counts as they are; one that reads currents is decided with its synapses."""
    cell = cell_of(module)
    if cell is None or isinstance(module, RecurrentCell):
        raise ExportError(f"{node.name}: no synapse drives it")
    return IntegerRule(node.name, fixed_cell(node.name, cell, walk.stream(node).scale, torch.zeros(()), walk.chip))


def _pool(walk: Walk, node: Node, module: nn.Module) -> IntegerRule:
    """The sum; an average's share is kept in what 1 is worth."""
    assert isinstance(module, WindowSum)
    return IntegerRule(node.name, WindowSum(module.kernel, module.stride, module.padding))


def _passing(walk: Walk, node: Node, module: nn.Module) -> IntegerRule:
    return IntegerRule(node.name, module)


def _output(walk: Walk, node: Node, module: nn.Module) -> IntegerRule:
    if len(node.arguments[0]) > 1:
        walk.check_membranes(node, node.arguments[0])
    return IntegerRule(node.name, Output())


def _integer(walk: Walk, node: Node, module: nn.Module) -> IntegerRule:
    for argument in range(len(node.arguments)):
        walk.stream(node, argument)
    return IntegerRule(node.name, module)


RULES: dict[type[nn.Module], Callable[[Walk, Node, nn.Module], Rule]] = {
    Convolution: _layer,
    SelfAttentionProduct: _self_attention,
    Neuron: _neuron,
    Head: _head,
    GroupSum: _integer,
    TokenSum: _integer,
    Mask: _integer,
    SpikePool: _integer,
    FloatSynapses: _synapses,
    Cell: _cell,
    WindowSum: _pool,
    Reshape: _passing,
    Delay: _passing,
    Output: _output,
}
