"""The interpreter time step by time step: what a population that hears itself needs.

All nodes are visited at every step, in execution order; populations keep their state between steps, and an edge of
feedback gives the spikes of the step before. On a graph without cycles it gives what sequence.py gives over whole
sequences; tests hold both equal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import MutableMapping

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.arithmetic import check_message
from ...chip.chip import Chip
from ...graph.delay_line import DelayLine
from ...graph.flat import FlatGraph, add, at_rest
from ...graph.flatten import flatten
from ...graph.neuron import TIME_STEP, IntegerNeuron, NeuronState
from ...graph.nodes import Delaying, Memoryless, Readout, Spiking, kind_of
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from .values import arriving_sums, check_inputs, pass_on, shown


def interpret_stepwise(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    fused: bool = True,
    time_step: float = TIME_STEP,
    chip: Chip = LOIHI_2,
) -> MutableMapping[str, np.ndarray]:
    """What `hardware.interpret` gives, and raises; all nodes at a time step before the next time step begins."""
    flat = flatten(graph, fused=fused, chip=chip)
    return run_stepwise(IntegerNetwork(flat, time_step), check_inputs(flat, inputs))


def run_stepwise(
    network: SteppedNetwork,
    inputs: np.ndarray,
    progress: Progress | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """The trace of a network at rest. inputs: [T, B, *input shape]; progress: called with (steps done, in all)."""
    trace = SpikeTrace() if into is None else into
    emitted: dict[str, np.ndarray] = {}
    for t, values in enumerate(inputs):
        if progress:
            progress(t, len(inputs))
        for name, given in network.step(t, values).items():
            if name not in emitted:
                emitted[name] = np.empty((len(inputs), *given.shape), given.dtype)
            emitted[name][t] = given
    for name in list(emitted):
        trace[name] = emitted.pop(name)
    return trace


class SteppedNetwork(ABC):
    """A network between two time steps. previous: the spikes that feedback carries from one to the next."""

    def __init__(self, flat: FlatGraph, time_step: float):
        self.flat = flat
        self.lines = {
            name: DelayLine(kind.steps(node, time_step))
            for name, node in flat.nodes.items()
            if isinstance(kind := kind_of(node), Delaying)
        }
        self.states: dict[str, NeuronState] = {}
        self.previous: dict[str, np.ndarray] = {}

    def step(self, t: int, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs [B, *input shape] of one time step -> what every population and output emits, [B, ...]."""
        flat, emitted = self.flat, {}
        values = {flat.input_name: inputs.astype(np.float64)}
        if not t:
            self.previous = {name: np.zeros((len(inputs), *flat.shapes[name])) for name, _ in flat.feedback}
        for name, node in flat.nodes.items():
            if not flat.sources[name]:
                continue
            total = add(
                (self.previous if (source, name) in flat.feedback else values)[source] for source in flat.sources[name]
            )
            if isinstance(kind_of(node), Memoryless):
                values[name] = self.pass_on(name, total)
            elif name in self.lines:
                self.check_delayed(name, total)
                values[name] = self.lines[name].step(total)
            elif flat.is_readout(name):
                values[name] = self.read(t, name, total)
            elif flat.is_population(name):
                spikes = self.fire(t, name, total)
                values[name] = spikes.astype(np.float64)
                if name not in flat.internal:
                    emitted[name] = spikes.astype(np.int8)
            else:
                emitted[name] = self.show(name, total)
                values[name] = total
        self.previous = {name: values[name] for name in self.previous}
        return emitted

    @abstractmethod
    def check_delayed(self, name: str, total: np.ndarray) -> None:
        """Raise RangeError for a sum that no delay can hold, [B, ...]."""

    @abstractmethod
    def pass_on(self, name: str, total: np.ndarray) -> np.ndarray:
        """What a node without memory gives for the sum that arrives, [B, ...]."""

    @abstractmethod
    def fire(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """Where a population fires for the sum that arrives, [B, ...]."""

    @abstractmethod
    def read(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """The membrane of a node that is read for the sum that arrives, [B, ...]."""

    @abstractmethod
    def show(self, name: str, total: np.ndarray) -> np.ndarray:
        """What an output shows of the sum that arrives, [B, ...]."""


class IntegerNetwork(SteppedNetwork):
    """In the integer arithmetic of a chip."""

    def __init__(self, flat: FlatGraph, time_step: float):
        super().__init__(flat, time_step)
        self.resting = at_rest(flat)
        self.neurons: dict[str, IntegerNeuron] = {
            name: kind.integer(name, node, time_step, flat.chip)
            for name, node in flat.nodes.items()
            if isinstance(kind := kind_of(node), (Spiking, Readout))
        }

    def pass_on(self, name: str, total: np.ndarray) -> np.ndarray:
        """Checked against the limit of a message."""
        given: np.ndarray = pass_on(self.flat, name, total[None])[0]
        return given

    def fire(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """Checked against the limits of a sum."""
        return self.neurons[name].fire(self._charged(t, name, total))

    def read(self, t: int, name: str, total: np.ndarray) -> np.ndarray:
        """In units of the membrane, checked against the limits of a sum."""
        return self._charged(t, name, total).membrane.astype(np.float64)

    def _charged(self, t: int, name: str, total: np.ndarray) -> NeuronState:
        neuron = self.neurons[name]
        sums, bias = arriving_sums(self.flat, name, total[None], self.resting[name])
        if name not in self.states:
            self.states[name] = neuron.rest(total.shape)
        state = self.states[name]
        neuron.charge(state, sums[0], bias)
        neuron.check(name, state, f" at time step {t}")
        return state

    def check_delayed(self, name: str, total: np.ndarray) -> None:
        """Against the limit of a message."""
        check_message(name, "sum of messages", total, self.flat.chip)

    def show(self, name: str, total: np.ndarray) -> np.ndarray:
        """Checked against the limit of a message and the type of an output."""
        check_message(name, "sum of messages", total - self.resting[name], self.flat.chip)
        return shown(name, total)
