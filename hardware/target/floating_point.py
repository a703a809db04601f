"""NIR -> spikes in float64: graphs with the float model's own numbers, for targets that round as they please.

Here two targets may disagree where a membrane comes within rounding of its threshold; the distances tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nir
import numpy as np

from ..errors import GraphError
from ..graph.flatten import SYNAPSES, flatten
from ..graph.linear import apply_linear, bias_of
from ..graph.neuron import TIME_STEP, distinct
from ..trace.spike_trace import SpikeTrace
from .interpreter import check_inputs, visit

Watch = Callable[[str, np.ndarray], None]


@dataclass(frozen=True)
class FloatNeuron:
    """kept: what a step leaves of the membrane; gain: what of the input reaches it; threshold: of the membrane.

    v <- kept * v + gain * I;  spike iff v > threshold (strict), then v <- 0.
    """

    kept: np.ndarray
    gain: np.ndarray
    threshold: np.ndarray

    @classmethod
    def from_node(cls, name: str, node: nir.NIRNode, time_step: float = TIME_STEP) -> FloatNeuron:
        """LIF, IF or Threshold by Euler's rule. Raises GraphError if v_leak or v_reset is not 0."""
        if isinstance(node, nir.Threshold):
            return cls(np.zeros(1), np.ones(1), distinct(node.threshold).astype(np.float64))
        leaky = isinstance(node, nir.LIF)
        for field in ("v_leak", "v_reset") if leaky else ("v_reset",):
            if np.any(distinct(getattr(node, field))):
                raise GraphError(f"{name}: {field} is not 0")
        rate = time_step / distinct(node.tau).astype(np.float64) if leaky else np.zeros(1)
        gain = distinct(node.r).astype(np.float64) * (rate if leaky else time_step)
        return cls(1.0 - rate, gain, distinct(node.v_threshold).astype(np.float64))

    def run(self, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spikes, int8, and membrane minus threshold before any reset, for currents [T, B, ...], from rest."""
        membrane = np.zeros(current.shape[1:])
        spikes, excess = np.empty(current.shape, np.int8), np.empty(current.shape)
        for t, arriving in enumerate(current):
            membrane = self.kept * membrane + self.gain * arriving
            excess[t] = membrane - self.threshold
            spikes[t] = excess[t] > 0
            membrane[spikes[t] != 0] = 0
        return spikes, excess

    def uniform(self, name: str) -> tuple[float, float, float]:
        """(kept, gain, threshold) if all neurons share them, as Lava's do. Raises GraphError if they differ."""
        if max(len(self.kept.flat), len(self.gain.flat), len(self.threshold.flat)) > 1:
            raise GraphError(f"{name}: constants differ within the population; Lava has one set for all its neurons")
        return float(self.kept[0]), float(self.gain[0]), float(self.threshold[0])


def interpret_float(graph: nir.NIRGraph, inputs: np.ndarray, *, watch: Watch | None = None) -> SpikeTrace:
    """Run an acyclic NIR graph of any numbers; what `interpret` runs, without Loihi's formats.

    inputs: [T, B, *input shape]. watch: called with each population's name and its membrane minus its threshold,
    [T, B, ...]. Returns int8 spikes and float64 outputs, [T, B, ...]. Raises GraphError.
    """
    flat = flatten(graph, fused=True, floating_point=True)
    values = {flat.input_name: check_inputs(flat, inputs, floating_point=True)}
    trace = SpikeTrace()
    for name, node, total in visit(flat, values, None):
        if isinstance(node, (*SYNAPSES, nir.Flatten)):
            out = apply_linear(node, total.reshape(-1, *total.shape[2:]))
            values[name] = out.reshape(*total.shape[:2], *out.shape[1:]) + bias_of(node)
        elif isinstance(node, nir.Output):
            trace[name] = values[name] = total
        else:
            values[name], excess = FloatNeuron.from_node(name, node).run(total)
            trace[name] = values[name]
            if watch:
                watch(name, excess)
    return trace


def flip_margins(graph: nir.NIRGraph, inputs: np.ndarray, trace: SpikeTrace) -> dict[str, np.ndarray]:
    """Where a target's trace differs from float64: population -> |membrane - threshold| of each value that flipped.

    A rounding difference flips what lies within rounding of its threshold; what follows from an earlier flip may lie
    anywhere. Populations without a flip are left out.
    """
    excesses: dict[str, np.ndarray] = {}
    exact = interpret_float(graph, inputs, watch=excesses.__setitem__)
    flips = {name: exact[name] != trace[name] for name in excesses}
    return {name: np.abs(excesses[name][where]) for name, where in flips.items() if where.any()}
