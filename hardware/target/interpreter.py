"""NIR -> spikes in NumPy: the definition that every target is held against.

Layer by layer over whole sequences, with the integer arithmetic of fixed_point.py. Edges have no latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping

import nir
import numpy as np

from ..chip.fixed_point import FRACTION, MESSAGE_LIMIT, RangeError, check_integer, check_range, encode_bias
from ..errors import GraphError
from ..graph.flatten import SYNAPSES, FlatGraph, flatten
from ..graph.linear import apply_linear, bias_of, constants
from ..graph.neuron import TIME_STEP, Neuron, check_below_limit
from ..trace.spike_trace import SpikeTrace


def interpret(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    fused: bool = True,
    time_step: float = TIME_STEP,
    progress: Callable[[int, int], None] | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """Run an acyclic NIR graph of whole-numbered weights on integer inputs.

    graph: Conv2d, Linear, Affine, SumPool2d, AvgPool2d, Flatten, Scale, Threshold, IF, LIF, nested NIRGraph,
    Input, Output; values on edges into one node are summed. Neurons start at rest (see Neuron for the update;
    the comparison is strict). inputs: whole numbers [T, B, *input shape]. fused: run marked nested graphs as the
    one operation that they compute; without it, gate by gate. time_step: seconds.
    progress: called with (nodes done, nodes in all). into: where the trace goes, such as a PackedTrace for networks
    whose traces exceed memory; a SpikeTrace unless given.

    Returns the spikes of every LIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node,
    int32 [T, B, ...], by node name in execution order.
    Raises GraphError for a graph that cannot be run, RangeError for a number outside Loihi's formats.
    """
    flat = flatten(graph, fused=fused)
    inputs = check_inputs(flat, inputs)
    at_rest = constants(flat)
    values = {flat.input_name: inputs}
    trace = SpikeTrace() if into is None else into
    for name, node, total in visit(flat, values, progress):
        if isinstance(node, nir.Output):
            check_integer(name, "output", total)
            trace[name] = values[name] = total.astype(np.int32)
        elif isinstance(node, (*SYNAPSES, nir.Flatten)):
            check_range(name, "sum of messages", total, -MESSAGE_LIMIT + 1, MESSAGE_LIMIT - 1)
            out = apply_linear(node, total.reshape(-1, *total.shape[2:]))
            check_range(name, "sum", out, -MESSAGE_LIMIT + 1, MESSAGE_LIMIT - 1)
            values[name] = out.reshape(*total.shape[:2], *out.shape[1:]) + bias_of(node)
        else:
            current = _current(name, total)
            encode_bias(name, at_rest[name])
            check_below_limit(name, "sum of inputs", current - _current(name, at_rest[name]))
            values[name] = Neuron.from_node(name, node, time_step).run(name, current)
            if name not in flat.internal:
                trace[name] = values[name]
    return trace


def visit(
    flat: FlatGraph, values: dict[str, np.ndarray], progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, nir.NIRNode, np.ndarray]]:
    """Every node but the Input in execution order, with the sum of its sources' values, float64 [T, B, ...].

    The caller puts each node's value into `values`, which holds the Input's at first; from there it is taken when
    nobody needs it any more.
    """
    uses = Counter(source for names in flat.sources.values() for source in names)
    for done, (name, node) in enumerate(flat.nodes.items()):
        if progress:
            progress(done, len(flat.nodes))
        if not flat.sources[name]:
            continue
        total = sum(values[source].astype(np.float64) for source in flat.sources[name])
        for source in flat.sources[name]:
            uses[source] -= 1
            if not uses[source]:
                del values[source]
        yield name, node, total


def check_inputs(flat: FlatGraph, inputs: np.ndarray, *, floating_point: bool = False) -> np.ndarray:
    """Inputs as an array of (whole) numbers [T, B, ...] that fits the graph, or GraphError / RangeError."""
    inputs = np.asarray(inputs)
    name, shape = flat.input_name, flat.shapes[flat.input_name]
    if inputs.shape[2:] != shape or inputs.ndim != len(shape) + 2:
        raise GraphError(f"inputs have the shape {inputs.shape}; '{name}' needs [T, B, {', '.join(map(str, shape))}]")
    if not (np.issubdtype(inputs.dtype, np.number) or inputs.dtype == bool):
        raise GraphError(f"inputs are of type {inputs.dtype}; '{name}' needs whole numbers")
    if 0 in inputs.shape[:2]:
        raise GraphError(f"inputs have the shape {inputs.shape}; at least one time step and one sample are needed")
    if not floating_point:
        check_integer(name, "value", inputs)
    check_range(name, "value", inputs, -MESSAGE_LIMIT + 1, MESSAGE_LIMIT - 1)
    return inputs


def _current(name: str, total: np.ndarray) -> np.ndarray:
    """Input currents in 1/64; averages of pools may be fractions, but not finer ones."""
    current = total * FRACTION
    rounded = np.rint(current)
    if not np.array_equal(current, rounded):
        worst = total[current != rounded].reshape(-1)[0]
        raise RangeError(f"{name}: input {worst:g} is not a multiple of 1/{FRACTION}; use SumPool2d for AvgPool2d")
    return rounded.astype(np.int64)
