"""NIR -> spikes in float64: graphs with the float model's own weights, for targets that round as they please.

Here two targets may disagree where a membrane comes within rounding of its threshold; the distances tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping

import nir
import numpy as np

from ...errors import GraphError, RangeError
from ...graph.delay_line import delayed
from ...graph.flat import FlatGraph, visit
from ...graph.flatten import flatten
from ...graph.float_neuron import FloatNeuron
from ...graph.neuron import TIME_STEP
from ...graph.nodes import Delaying, Memoryless, Readout, Spiking, kind_of, memoryless
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from .stepwise import SteppedNetwork, run_stepwise
from .values import check_inputs

MarginWatch = Callable[[str, np.ndarray], None]


def interpret_float(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    watch: MarginWatch | None = None,
    progress: Progress | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """Run a NIR graph of any weights; what `interpret` runs, without a chip's formats.

    inputs: [T, B, *input shape]. watch: called with each population's name and its membrane minus its threshold,
    [T, B, ...]. progress, into: as in `interpret`.
    Returns int8 spikes and float64 outputs, [T, B, ...]. Raises GraphError, and RangeError beyond what float64 holds.
    """
    flat = flatten(graph, fused=True, floating_point=True)
    values = {flat.input_name: check_inputs(flat, inputs, floating_point=True)}
    if flat.feedback:
        network = FloatNetwork(flat, len(inputs))
        trace = run_stepwise(network, values[flat.input_name], progress, into)
        for name, excess in network.excesses.items():
            if watch:
                watch(name, excess)
        return trace
    trace = SpikeTrace() if into is None else into
    for name, node, total in visit(flat, values, progress):
        kind = kind_of(node)
        _check_finite(name, "sum", total)
        if isinstance(kind, Memoryless):
            values[name] = _pass_on(flat, name, total.reshape(-1, *total.shape[2:])).reshape(
                *total.shape[:2], *flat.shapes[name]
            )
        elif isinstance(kind, Delaying):
            values[name] = delayed(total, kind.steps(node, TIME_STEP))
        elif isinstance(kind, Readout):
            values[name] = kind.floating(name, node, TIME_STEP).read(total)
        elif isinstance(kind, Spiking):
            with np.errstate(over="ignore", invalid="ignore"):
                values[name], excess = kind.floating(name, node, TIME_STEP).run(total)
            _check_finite(name, "membrane", excess)
            trace[name] = values[name]
            if watch:
                watch(name, excess)
        else:
            trace[name] = values[name] = total
    return trace


class FloatNetwork(SteppedNetwork):
    """In float64. excesses: each population's membrane minus its threshold, [T, B, ...]."""

    def __init__(self, flat: FlatGraph, time_steps: int):
        super().__init__(flat, TIME_STEP)
        self.time_steps = time_steps
        self.neurons: dict[str, FloatNeuron] = {
            name: kind.floating(name, node, TIME_STEP)
            for name, node in flat.nodes.items()
            if isinstance(kind := kind_of(node), (Spiking, Readout))
        }
        self.excesses: dict[str, np.ndarray] = {}

    def pass_on(self, name: str, total: np.ndarray) -> np.ndarray:
        """With its bias."""
        _check_finite(name, "sum", total)
        return _pass_on(self.flat, name, total)

    def fire(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """By Euler's rule."""
        _check_finite(name, "sum", total)
        if not t:
            self.states[name] = self.neurons[name].rest(total.shape)
            self.excesses[name] = np.empty((self.time_steps, *total.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            fired, self.excesses[name][t] = self.neurons[name].step(self.states[name], total)
        _check_finite(name, "membrane", self.excesses[name][t])
        return fired

    def check_delayed(self, name: str, total: np.ndarray) -> None:
        """Against what float64 holds."""
        _check_finite(name, "sum", total)

    def read(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """By Euler's rule."""
        if not t:
            self.states[name] = self.neurons[name].rest(total.shape)
        self.neurons[name].step(self.states[name], total)
        return self.states[name].membrane

    def show(self, name: str, total: np.ndarray) -> np.ndarray:
        """As it is."""
        _check_finite(name, "sum", total)
        return total


def _pass_on(flat: FlatGraph, name: str, total: np.ndarray) -> np.ndarray:
    """What a node without memory gives, [N, ...]."""
    node = flat.nodes[name]
    kind = memoryless(name, node)
    with np.errstate(over="ignore", invalid="ignore"):
        given: np.ndarray = kind.apply(node, total) + kind.bias(node)
    return given


def _check_finite(name: str, what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise RangeError(f"{name}: {what} is not finite; its weights or constants are too large for float64")


def flip_margins(graph: nir.NIRGraph, inputs: np.ndarray, trace: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where a target's trace differs from float64: population -> |membrane - threshold| of each value that flipped.

    A rounding difference flips what lies within rounding of its threshold; what follows from an earlier flip may lie
    anywhere. Populations without a flip are left out.
    """
    excesses: dict[str, np.ndarray] = {}
    exact = interpret_float(graph, inputs, watch=excesses.__setitem__)
    flips = {name: exact[name] != trace[name] for name in excesses}
    return {name: np.abs(excesses[name][where]) for name, where in flips.items() if where.any()}


def is_integer(graph: nir.NIRGraph) -> bool:
    """Whether all weights of a graph have a chip's format, so that its inputs are to be encoded as integers."""
    try:
        flatten(graph)
    except (GraphError, RangeError):
        return False
    return True
