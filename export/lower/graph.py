"""Fixed model -> NIR graph, in standard primitives only. Node names are the model's module paths."""

from __future__ import annotations

import math
from collections.abc import Callable

import nir
import numpy as np
from torch import Tensor, nn

from hardware.chip import Chip
from hardware.graph.gates import max_pool as current_pool
from hardware.graph.gates import primitives as masking
from hardware.graph.gates import self_attention
from hardware.graph.gates.primitives import GraphBuilder
from hardware.graph.neuron import TIME_STEP
from hardware.graph.profile import MOST_WEIGHTS, portable
from hardware.graph.typed import typed_graph
from qkformer import IF, LIF, PLIF, Neuron
from qkformer.models.logic import Mask, SpikePool

from ..errors import ExportError
from ..network.cells import FixedCell, FloatCell, RecurrentCell
from ..network.fixed_layers import FixedConv, FixedCurrentPool, FixedLIF, Gate, Readout
from ..network.fixed_model import FixedModel
from ..network.float_layers import FloatConv, FloatHead
from ..network.float_network import FloatNetwork
from ..network.layers import CurrentPool, Delay, GroupSum, Reshape, SelfAttentionProduct, TokenSum, WindowSum
from ..network.node_network import INPUT, OUTPUT, Node, Shapes
from ..network.output import Output
from ..network.stream import find_streams, one_spike_suffices, read_stream
from ..network.synapses import FixedSynapses, FloatSynapses
from .cells import (
    lower_delay,
    lower_fixed_cell,
    lower_float_cell,
    lower_output,
    lower_recurrent_cell,
    lower_reshape,
    lower_synapses,
    lower_window_sum,
)

LARGE = 100_000_000  # gates


def to_nir(fixed: FixedModel | FloatNetwork, *, allow_large: bool = False, inline: bool = False) -> nir.NIRGraph:
    """The NIR graph of a fixed model, type-checked; or of a float network, with its own weights.

    Its nodes are those that other tools read and execute alike (hardware.graph.profile). inline: without nested
    graphs, which no other tool reads. Input [C, H, W] takes what `fixed.encode` gives at one time step; Output
    "output" gives the head's sums at one time step. The metadata says how to encode images and read logits; none of
    it is needed to execute the graph.
    Self-attention and max-pools of currents become nested graphs of gates. Above 100 million gates the graph is
    only built with allow_large.
    Raises ExportError for a module that has no lowering, for a graph that is too large, and for what has gates on the
    digits of integers only, so not in a float network.
    """
    shapes = fixed.shapes()
    if isinstance(fixed, FloatNetwork):
        _check_no_digits(fixed)
    gates = sum(count_gates(fixed, shapes).values())
    if gates > LARGE and not allow_large:
        raise ExportError(
            f"{fixed.encoding.name}: self-attention and max-pools take {gates / 1e6:,.0f} million gates, more than "
            f"{LARGE / 1e6:,.0f} million; shrink the input, or build it all the same with allow_large (--allow-large)"
        )
    gates_of = _or_gates(fixed, shapes) if isinstance(fixed, FloatNetwork) else {}
    graph = GraphBuilder()
    graph.add(INPUT, nir.Input({"input": np.array(shapes[INPUT])}))
    for node in fixed.nodes:
        module = gates_of.get(node.name) or fixed.get_submodule(node.name)
        if type(module) not in _LOWERINGS:
            raise ExportError(f"{node.name}: a {type(module).__name__} has no lowering to NIR; see export/lower")
        _LOWERINGS[type(module)](graph, node, module, shapes)
    if OUTPUT not in graph.nodes:  # a network without a head gives the spikes of its last population
        last = fixed.nodes[-1].name
        graph.add(OUTPUT, nir.Output({"output": np.array(shapes[last])}), last)
    profile = portable(nir.NIRGraph(graph.nodes, graph.edges, type_check=False), inline=inline)
    return typed_graph(profile.nodes, profile.edges, fixed.encoding.to_metadata())


def threshold_offset(chip: Chip) -> float:
    """What a threshold is raised by: half of the membrane's resolution, so that > and >= agree."""
    return 0.5 / chip.fraction


def _or_gates(network: FloatNetwork, shapes: Shapes) -> dict[str, Gate]:
    """The neurons of a float network that are an OR, as the gates that the fixed network has in their place."""
    streams, gates = find_streams(network, shapes, {}), {}
    for node in network.nodes:
        module, stream = network.get_submodule(node.name), read_stream(streams, node.arguments[0])
        if isinstance(module, Neuron) and stream is not None and one_spike_suffices(module, stream):
            gates[node.name] = Gate(0)
    return gates


def _check_no_digits(folded: FloatNetwork) -> None:
    for node in folded.nodes:
        if isinstance(folded.get_submodule(node.name), (SelfAttentionProduct, CurrentPool)):
            raise ExportError(
                f"{folded.encoding.name}: {node.name} is lowered to gates on integers; quantize the model, or use "
                "Q-K attention and pools of spikes"
            )


def count_gates(fixed: FixedModel | FloatNetwork, shapes: Shapes | None = None) -> dict[str, int]:
    """Threshold neurons in the nested graph of each self-attention and each max-pool of currents."""
    shapes = shapes or fixed.shapes()
    gates = {}
    for node in fixed.nodes:
        module, source = fixed.get_submodule(node.name), shapes[node.arguments[0][0]]
        if isinstance(module, SelfAttentionProduct):
            gates[node.name] = self_attention.gate_count(source, module.heads)
        elif isinstance(module, FixedCurrentPool):
            gates[node.name] = current_pool.gate_count(source, module.window, module.low, module.high)
    return gates


def _conv(graph: GraphBuilder, node: Node, module: FixedConv | FloatConv, shapes: Shapes) -> None:
    (sources,) = node.arguments
    weight, bias = (_numbers(tensor) for tensor in (module.weight, module.bias))
    size = shapes[sources[0]][1:]
    conv = nir.Conv2d(tuple(size), weight, module.stride, module.padding, (1, 1), 1, bias)
    graph.add(node.name, conv, *sources)


def _lif(graph: GraphBuilder, node: Node, module: FixedLIF, shapes: Shapes) -> None:
    """V <- V (1 - 1/tau) + I: in NIR's terms a membrane of time constant tau * dt and resistance tau."""

    def everywhere(value: float) -> np.ndarray:
        return masking.everywhere(value, shapes[node.name])

    threshold, zero = everywhere(module.threshold + threshold_offset(module.chip)), everywhere(0.0)
    if not module.decay:
        neuron = nir.IF(r=everywhere(1 / TIME_STEP), v_threshold=threshold, v_reset=zero)
    else:
        tau = module.chip.decay_unity / module.decay
        neuron = nir.LIF(everywhere(tau * TIME_STEP), everywhere(tau), zero, threshold, zero)
    graph.add(node.name, neuron, *node.arguments[0])


def _float_lif(graph: GraphBuilder, node: Node, module: Neuron, shapes: Shapes) -> None:
    """v <- v + (x - v) / tau; the threshold is the next smaller float, so that NIR's > is the model's >=."""

    def everywhere(value: float) -> np.ndarray:
        return np.broadcast_to(np.float64(value), shapes[node.name])

    threshold, zero = everywhere(np.nextafter(module.v_threshold, 0.0)), everywhere(0.0)
    if module.tau is None:
        neuron = nir.IF(r=everywhere(1 / TIME_STEP), v_threshold=threshold, v_reset=zero)
    else:
        neuron = nir.LIF(everywhere(module.tau * TIME_STEP), everywhere(1.0), zero, threshold, zero)
    graph.add(node.name, neuron, *node.arguments[0])


def _gate(graph: GraphBuilder, node: Node, module: Gate, shapes: Shapes) -> None:
    masking.threshold_gate(graph, node.name, shapes[node.name], module.threshold + 1, *node.arguments[0])


def _group_sum(graph: GraphBuilder, node: Node, module: GroupSum, shapes: Shapes) -> None:
    masking.group_sum(graph, node.name, shapes[node.arguments[0][0]], module.groups, *node.arguments[0])


def _token_sum(graph: GraphBuilder, node: Node, module: TokenSum, shapes: Shapes) -> None:
    masking.token_sum(graph, node.name, shapes[node.name], *node.arguments[0])


def _mask(graph: GraphBuilder, node: Node, module: Mask, shapes: Shapes) -> None:
    (attention,), (keys,) = node.arguments
    masking.mask(graph, node.name, shapes[node.name], shapes[attention][0], attention, keys)


def _spike_pool(graph: GraphBuilder, node: Node, module: SpikePool, shapes: Shapes) -> None:
    window = (module.kernel, module.stride, module.padding)
    masking.spike_pool(graph, node.name, shapes[node.name], *window, *node.arguments[0])


def _readout(graph: GraphBuilder, node: Node, module: Readout | FloatHead, shapes: Shapes) -> None:
    (sources,) = node.arguments
    channels, *size = shapes[sources[0]]
    weight, bias = (_numbers(tensor) for tensor in (module.weight, module.bias))
    weight = weight[:, :, None, None]
    if size[0] == size[1] and len(weight) * channels * math.prod(size) <= MOST_WEIGHTS:  # it sees the whole map
        weight = np.broadcast_to(weight, (*weight.shape[:2], *size))
    else:
        sources = (graph.add("head.sum", masking.window_sum(size, size, [0, 0]), *sources),)
    head = nir.Conv2d(tuple(weight.shape[2:]), weight, (1, 1), (0, 0), (1, 1), 1, bias)
    graph.add("head", head, *sources)
    graph.add(OUTPUT, nir.Output({"output": np.array([len(bias), 1, 1])}), "head")


def _self_attention(graph: GraphBuilder, node: Node, module: SelfAttentionProduct, shapes: Shapes) -> None:
    shape = shapes[node.name]
    stacked = []
    for index, (name, sources) in enumerate(zip(("query", "key", "value"), node.arguments, strict=True)):
        stack = masking.one_by_one(self_attention.stacking(shape[0], index), shape[1:])
        stacked.append(graph.add(f"{node.name}.stacked.{name}", stack, *sources))
    nested = graph.nested(self_attention.self_attention_graph, shape, module.heads, module.scale)
    graph.add(node.name, nested, *stacked)


def _current_pool(graph: GraphBuilder, node: Node, module: FixedCurrentPool, shapes: Shapes) -> None:
    shape = shapes[node.arguments[0][0]]
    nested = graph.nested(current_pool.current_pool_graph, shape, module.window, module.low, module.high)
    graph.add(node.name, nested, *node.arguments[0])


def _numbers(tensor: Tensor) -> np.ndarray:
    """Integers as float32, which holds them exactly; others as they are."""
    numbers = tensor.cpu().numpy()
    return numbers if numbers.dtype == np.float64 else numbers.astype(np.float32)


_LOWERINGS: dict[type[nn.Module], Callable[..., None]] = {
    FloatConv: _conv,
    FloatHead: _readout,
    LIF: _float_lif,
    PLIF: _float_lif,
    IF: _float_lif,
    FixedConv: _conv,
    FixedLIF: _lif,
    Gate: _gate,
    GroupSum: _group_sum,
    TokenSum: _token_sum,
    Mask: _mask,
    SpikePool: _spike_pool,
    SelfAttentionProduct: _self_attention,
    FixedCurrentPool: _current_pool,
    Readout: _readout,
    FixedSynapses: lower_synapses,
    FloatSynapses: lower_synapses,
    FixedCell: lower_fixed_cell,
    FloatCell: lower_float_cell,
    RecurrentCell: lower_recurrent_cell,
    WindowSum: lower_window_sum,
    Reshape: lower_reshape,
    Delay: lower_delay,
    Output: lower_output,
}
