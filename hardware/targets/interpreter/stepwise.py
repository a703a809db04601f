"""The interpreter time step by time step: what a network with a memory across a cycle needs.

All nodes are visited at every step, in execution order, and populations keep their membranes between steps. On a graph
without cycles it gives what sequence.py gives over whole sequences; tests hold both equal.
"""

from __future__ import annotations

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.arithmetic import check_message
from ...chip.chip import Chip
from ...graph.flat import FlatGraph, add, at_rest
from ...graph.flatten import flatten
from ...graph.neuron import TIME_STEP, IntegerNeuron, NeuronState
from ...graph.nodes import Memoryless, kind_of, spiking
from ...trace.spike_trace import SpikeTrace
from .sequence import arriving_sums, check_inputs, pass_on, shown


def interpret_stepwise(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    fused: bool = True,
    time_step: float = TIME_STEP,
    chip: Chip = LOIHI_2,
) -> SpikeTrace:
    """What `hardware.interpret` gives, and raises; all nodes at a time step before the next time step begins."""
    flat = flatten(graph, fused=fused, chip=chip)
    network = _Network(flat, time_step)
    steps = [network.step(t, values) for t, values in enumerate(check_inputs(flat, inputs))]
    return SpikeTrace({name: np.stack([step[name] for step in steps]) for name in steps[0]})


class _Network:
    """The state of a network between two time steps: what every population keeps."""

    def __init__(self, flat: FlatGraph, time_step: float):
        self.flat = flat
        self.resting = at_rest(flat)
        self.neurons: dict[str, IntegerNeuron] = {
            name: spiking(name, flat.nodes[name]).integer(name, flat.nodes[name], time_step, flat.chip)
            for name in flat.populations
        }
        self.states: dict[str, NeuronState] = {}

    def step(self, t: int, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs [B, *input shape] of one time step -> what every population and output emits, [B, ...]."""
        flat, emitted = self.flat, {}
        values = {flat.input_name: inputs.astype(np.float64)}
        for name, node in flat.nodes.items():
            if not flat.sources[name]:
                continue
            total = add(values[source] for source in flat.sources[name])
            if isinstance(kind_of(node), Memoryless):
                values[name] = pass_on(flat, name, total[None])[0]
            elif name in self.neurons:
                spikes = self._fire(t, name, *arriving_sums(flat, name, total[None], self.resting[name]))
                values[name] = spikes.astype(np.float64)
                if name not in flat.internal:
                    emitted[name] = spikes.astype(np.int8)
            else:
                check_message(name, "sum of messages", total - self.resting[name], flat.chip)
                emitted[name] = shown(name, total)
                values[name] = total
        return emitted

    def _fire(self, t: int, name: str, sums: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Spikes [B, ...] for sums [1, B, ...]."""
        neuron = self.neurons[name]
        state = self.states.setdefault(name, neuron.rest(sums.shape[1:]))
        neuron.charge(state, sums[0], bias)
        neuron.check(name, state, f" at time step {t}")
        return neuron.fire(state)
