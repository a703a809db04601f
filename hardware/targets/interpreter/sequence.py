"""NIR -> spikes in NumPy: the definition that every target is held against.

Node by node over whole sequences, with the integer arithmetic of a chip. Edges have no latency. stepwise.py computes
the same time step by time step.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.arithmetic import check_below_limit, check_integer, check_message, encode_bias
from ...chip.chip import Chip
from ...errors import GraphError, RangeError
from ...graph.flat import FlatGraph, at_rest, visit
from ...graph.flatten import flatten
from ...graph.neuron import TIME_STEP
from ...graph.nodes import Memoryless, Spiking, kind_of
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace

OUTPUT_TYPE = np.int32


def interpret(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    fused: bool = True,
    time_step: float = TIME_STEP,
    chip: Chip = LOIHI_2,
    progress: Progress | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """Run an acyclic NIR graph of integer weights on integer inputs.

    graph: Conv2d, Linear, Affine, SumPool2d, AvgPool2d, Flatten, Scale, Threshold, IF, LIF, nested NIRGraph,
    Input, Output; values on edges into one node are summed. Neurons start at rest (see IntegerNeuron for the update;
    the comparison is strict). inputs: integers [T, B, *input shape]. fused: run marked nested graphs whose gates prove
    the mark as the one operation that they compute; without it, gate by gate. time_step: seconds. chip: whose formats.
    progress: called with (nodes done, nodes in all). into: where the trace goes, such as a PackedTrace for networks
    whose traces exceed memory; a SpikeTrace unless given.

    Returns the spikes of every LIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node,
    int32 [T, B, ...], by node name in execution order.
    Raises GraphError for a graph that cannot be run, RangeError for a number outside the chip's formats.
    """
    flat = flatten(graph, fused=fused, chip=chip)
    values = {flat.input_name: check_inputs(flat, inputs)}
    resting = at_rest(flat)
    trace = SpikeTrace() if into is None else into
    for name, node, total in visit(flat, values, progress):
        kind = kind_of(node)
        if isinstance(kind, Memoryless):
            values[name] = pass_on(flat, name, total)
        elif isinstance(kind, Spiking):
            sums, bias = arriving_sums(flat, name, total, resting[name])
            values[name] = kind.integer(name, node, time_step, chip).run(name, sums, bias)
            if name not in flat.internal:
                trace[name] = values[name]
        else:
            check_message(name, "sum of messages", total - resting[name], chip)
            trace[name] = values[name] = shown(name, total)
    return trace


def pass_on(flat: FlatGraph, name: str, total: np.ndarray) -> np.ndarray:
    """What a node without memory gives for the sum that arrives, [T, B, ...]; both must fit a message."""
    node = flat.nodes[name]
    kind = kind_of(node)
    assert isinstance(kind, Memoryless)
    check_message(name, "sum of messages", total, flat.chip)
    kind.check_inputs(name, node, total)
    out = kind.apply(node, total.reshape(-1, *total.shape[2:]))
    check_message(name, "sum", out, flat.chip)
    given: np.ndarray = out.reshape(*total.shape[:2], *out.shape[1:]) + kind.bias(node)
    return given


def arriving_sums(flat: FlatGraph, name: str, total: np.ndarray, resting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What drives a population, in units of the membrane: sums of W x [T, B, ...], and the bias [...].

    total: both together; resting: what arrives without any spike.
    """
    sums, bias = _current(name, total, flat.chip), _current(name, resting, flat.chip)
    encode_bias(name, resting, flat.chip)
    sums -= bias
    check_below_limit(name, "sum of inputs", sums, flat.chip)
    return sums, bias


def shown(name: str, total: np.ndarray) -> np.ndarray:
    """What an Output shows: int32, checked."""
    check_integer(name, "output", total)
    limits = np.iinfo(OUTPUT_TYPE)
    if total.size and not (total.min() >= limits.min and total.max() <= limits.max):
        worst = total.reshape(-1)[np.abs(total).argmax()]
        raise RangeError(f"{name}: output {worst:g} is outside {limits.min} .. {limits.max}; use a smaller bias")
    return total.astype(OUTPUT_TYPE)


def check_inputs(flat: FlatGraph, inputs: np.ndarray, *, floating_point: bool = False) -> np.ndarray:
    """Inputs as an array of integers (or any numbers) [T, B, ...] that fits the graph, or GraphError / RangeError."""
    inputs = np.asarray(inputs)
    name, shape = flat.input_name, flat.shapes[flat.input_name]
    if inputs.shape[2:] != shape or inputs.ndim != len(shape) + 2:
        raise GraphError(f"inputs have the shape {inputs.shape}; '{name}' needs [T, B, {', '.join(map(str, shape))}]")
    if not (np.issubdtype(inputs.dtype, np.number) or inputs.dtype == bool):
        raise GraphError(f"inputs are of type {inputs.dtype}; '{name}' needs integers")
    if np.issubdtype(inputs.dtype, np.complexfloating):
        raise GraphError(f"inputs are of type {inputs.dtype}; '{name}' needs real values")
    if 0 in inputs.shape[:2]:
        raise GraphError(f"inputs have the shape {inputs.shape}; at least one time step and one sample are needed")
    if not floating_point:
        check_integer(name, "value", inputs)
    check_message(name, "value", inputs, flat.chip)
    return inputs


def _current(name: str, total: np.ndarray, chip: Chip) -> np.ndarray:
    """Input currents in units of the membrane; averages of pools may be fractions, but not finer ones."""
    current = total * chip.fraction
    rounded = np.rint(current)
    if not np.array_equal(current, rounded):
        worst = total[current != rounded].reshape(-1)[0]
        raise RangeError(f"{name}: input {worst:g} is not a multiple of 1/{chip.fraction}; use SumPool2d for AvgPool2d")
    whole: np.ndarray = rounded.astype(np.int64)
    return whole
