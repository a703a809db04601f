"""NIR -> spikes in NumPy: the definition that every target is held against.

Node by node over whole sequences, with the integer arithmetic of a chip. Edges have no latency. Where a population
hears itself, its graph is run time step by time step (stepwise.py), which without such a cycle computes the same.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.arithmetic import check_message
from ...chip.chip import Chip
from ...graph.delay_line import delayed
from ...graph.flat import at_rest, visit
from ...graph.flatten import flatten
from ...graph.neuron import TIME_STEP
from ...graph.nodes import Delaying, Memoryless, Readout, Spiking, kind_of
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from .stepwise import IntegerNetwork, run_stepwise
from .values import arriving_sums, check_inputs, pass_on, shown


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
    """Run a NIR graph of integer weights on integer inputs.

    graph: Conv1d, Conv2d, Linear, Affine, SumPool2d, AvgPool2d, Flatten, Scale, Delay, Threshold, IF, LIF, CubaLIF,
    I, LI, CubaLI, nested NIRGraph, Input, Output; values on edges into one node are summed. A cycle through one
    population means one time step.
    Neurons start at rest (see IntegerNeuron for the update; the comparison is strict).
    inputs: integers [T, B, *input shape]. fused: run marked nested graphs whose gates prove the mark as the one
    operation that they compute; without it, gate by gate. time_step: seconds. chip: whose formats.
    progress: called with (done, in all), of nodes, or of time steps where a population hears itself. into: where the
    trace goes, such as a PackedTrace for networks whose traces exceed memory; a SpikeTrace unless given.

    Returns the spikes of every LIF, CubaLIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node,
    int32 [T, B, ...], by node name in execution order; where an Output shows an I, LI or CubaLI, its membrane in the
    chip's fractions of a synaptic unit.
    Raises GraphError for a graph that cannot be run, RangeError for a number outside the chip's formats.
    """
    flat = flatten(graph, fused=fused, chip=chip)
    values = {flat.input_name: check_inputs(flat, inputs)}
    if flat.feedback:
        return run_stepwise(IntegerNetwork(flat, time_step), values[flat.input_name], progress, into)
    resting = at_rest(flat)
    trace = SpikeTrace() if into is None else into
    for name, node, total in visit(flat, values, progress):
        kind = kind_of(node)
        if isinstance(kind, Memoryless):
            values[name] = pass_on(flat, name, total)
        elif isinstance(kind, Delaying):
            check_message(name, "sum of messages", total, flat.chip)
            values[name] = delayed(total, kind.steps(node, time_step))
        elif isinstance(kind, Readout):
            sums, bias = arriving_sums(flat, name, total, resting[name])
            values[name] = kind.integer(name, node, time_step, chip).read(name, sums, bias)
        elif isinstance(kind, Spiking):
            sums, bias = arriving_sums(flat, name, total, resting[name])
            values[name] = kind.integer(name, node, time_step, chip).run(name, sums, bias)
            if name not in flat.internal:
                trace[name] = values[name]
        else:
            check_message(name, "sum of messages", total - resting[name], chip)
            trace[name] = values[name] = shown(name, total)
    return trace
