"""A section of a network, stepped as Lava would step its processes, but in one process and in NumPy alone.

Every population and synapse keeps Lava's semantics: a synapse gives last step's sums, neurons cost no time, LIFReset
resets at the first step of each window, arithmetic is Loihi's. So spikes are those of the stock processes, step for
step (tests/hardware/targets/lava/test_section.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...chip.arithmetic import check_below_limit, check_message
from ...chip.chip import Chip
from ...graph.bounds import uncertified_populations, value_bounds
from ...graph.delay_line import DelayLine
from ...graph.flat import FlatGraph, at_rest
from ...graph.neuron import IntegerNeuron, distinct
from ...graph.nodes.kind import Interval
from ...graph.numbers import integer_neuron
from ...graph.schedule import Connection, Schedule, ScheduledPopulation
from .records import create_record
from .synapses import EXACT_IN_FLOAT32, make_synapse


class Cell:
    """One population: its value at this step, from what its synapses gave at the last."""

    def __init__(self, population: ScheduledPopulation, chip: Chip, checked: bool):
        self.population, self.chip, self.checked = population, chip, checked
        self.arriving: list[np.ndarray] = []  # one array for each connection, filled by `Link`s
        self.returning: list[np.ndarray] = []  # those of them that hold its own spikes
        self.value = np.zeros(population.shape, np.float32)

    def total(self) -> np.ndarray:
        """The sum of all that arrives."""
        first, *others = self.arriving
        return sum(others, first)

    def update(self, step: int) -> None:
        """Relay or output: send on the sum, which float32 holds, as a message is below 2^23."""
        total = self.total()
        if self.checked:
            check_message(self.population.name, "sum of messages", total, self.chip)
        self.value[...] = total


class DelayCell(Cell):
    """A relay that sends on what arrived earlier in the same window."""

    def __init__(self, population: ScheduledPopulation, steps: np.ndarray, chip: Chip, time_steps: int, checked: bool):
        super().__init__(population, chip, checked)
        self.line = DelayLine(steps)
        self.offset, self.time_steps = population.reset_offset(time_steps), time_steps

    def update(self, step: int) -> None:
        """Nothing of the last window is left at the first step of the next."""
        super().update(step)
        if step % self.time_steps == self.offset:
            self.line.clear()
        self.value[...] = self.line.step(self.value)


class NeuronCell(Cell):
    """LIF, CubaLIF, IF or gate; the membrane is in the chip's units.

    It is in float32 where halving it is exact, else in float64.
    """

    def __init__(
        self, population: ScheduledPopulation, neuron: IntegerNeuron, bias: np.ndarray, time_steps: int, checked: bool
    ):
        super().__init__(population, neuron.chip, checked)
        self.is_gate = neuron.forgets and neuron.fires
        self.threshold = distinct(neuron.synaptic_threshold(population.name)) * self.unit
        self.kept = self._share_kept(neuron.decay)
        self.offset, self.time_steps = population.reset_offset(time_steps), time_steps
        self.bias = bias * self.unit
        halving = (np.frexp(self.kept[self.kept > 0])[0] == 0.5).all() and not neuron.keeps_current
        self.membrane = np.zeros(population.shape, np.float32 if halving else np.float64)
        self.current: np.ndarray | None = None
        if neuron.current_decay is not None:
            self.current, self.current_kept = np.zeros(population.shape), self._share_kept(neuron.current_decay)
        self.fired = np.zeros(population.shape, bool)

    def _share_kept(self, decay: np.ndarray) -> np.ndarray:
        """What a step leaves, in float64."""
        share: np.ndarray = (self.chip.decay_unity - distinct(decay)) / self.chip.decay_unity
        return share

    @property
    def unit(self) -> int:
        """What one synaptic unit is: a gate compares sums as they are, a membrane counts in the chip's units."""
        return 1 if self.is_gate else self.chip.fraction

    def update(self, step: int) -> None:
        """Spike iff membrane > threshold, then 0; a gate has no membrane but what arrives."""
        current = self.arrived(step)
        if self.is_gate:
            np.greater(current, self.threshold - self.bias, out=self.fired)
        else:
            membrane = self.charge(step, current)
            np.greater(membrane, self.threshold, out=self.fired)
            np.copyto(membrane, 0, where=self.fired)
        self.value[...] = self.fired

    def arrived(self, step: int) -> np.ndarray:
        """The sum of inputs, in which at the first step of a window nothing is of the last."""
        if step % self.time_steps == self.offset:
            for sums in self.returning:
                sums[...] = 0
        current = self.total()
        if self.checked:
            whole = current * (self.chip.fraction // self.unit)
            check_below_limit(self.population.name, "sum of inputs", whole, self.chip)
        return current

    def charge(self, step: int, current: np.ndarray) -> np.ndarray:
        """membrane <- toward_zero(membrane * kept) + current + bias, after the current's own decay."""
        begins, name = step % self.time_steps == self.offset, self.population.name
        if self.current is not None:
            current = _decayed(self.current, self.current_kept, begins) + current
            self.current[...] = current
            if self.checked:
                check_below_limit(name, "current", current, self.chip)
        membrane = _decayed(self.membrane, self.kept, begins)
        membrane += current
        membrane += self.bias
        if self.checked:
            check_below_limit(name, "membrane", membrane, self.chip)
        return membrane


class ReadoutCell(NeuronCell):
    """I, LI, CubaLI: the membrane itself is what is sent on."""

    def update(self, step: int) -> None:
        """Charge, and nothing that could fire."""
        self.value[...] = self.charge(step, self.arrived(step))


def _decayed(values: np.ndarray, kept: np.ndarray, begins: bool) -> np.ndarray:
    """What a step leaves of a membrane or a current, in place; nothing where a window begins."""
    if begins:
        values[...] = 0
    else:
        values *= kept
        np.trunc(values, out=values)
    return values


class Link:
    """One synapse or identity: reads a population's value at this step, gives it to the targets at the next."""

    def __init__(
        self, graph: FlatGraph, plan: Schedule, source: Cell, connection: Connection, bounds: Interval, unit: int
    ):
        self.source, self.unit = source, unit
        self.synapse = None
        dtype: np.dtype[Any]
        shape, dtype = source.population.shape, np.dtype(np.float32)
        if name := connection.synapse:
            self.in_shape, shape = graph.in_shape(name), graph.shapes[name]
            self.synapse, dtype = make_synapse(graph, name, plan.synapses[name], bounds, unit)
        elif max(map(abs, bounds)) * unit >= EXACT_IN_FLOAT32:
            dtype = np.dtype(np.float64)
        self.sums = np.zeros(shape, dtype)
        self.waiting = deque(np.zeros(shape, dtype) for _ in range(connection.delay))

    def transmit(self) -> None:
        """Compute what the targets find at the next step."""
        if self.synapse:
            self.synapse(self.source.value.reshape(self.in_shape), self.sums)
            return
        self.waiting.append(self.source.value * self.unit)
        self.sums[...] = self.waiting.popleft()


class Section:
    """The populations `names` of a network, with the synapses that lead to them.

    frames: [steps, *input shape]. folder: where records are written (records.py), [images * T, *shape].
    """

    def __init__(
        self, graph: FlatGraph, plan: Schedule, names: Iterable[str], frames: np.ndarray, time_steps: int, folder: Path
    ):
        self.names = set(names)
        self.frames, self.plan = frames, plan
        resting = at_rest(graph)
        interval = (float(frames.min()), float(frames.max()))
        bounds = value_bounds(graph, plan, interval)
        uncertified = uncertified_populations(graph, plan, interval, time_steps)
        self.cells: dict[str, Cell] = {}
        self.links: dict[tuple[str, str | None, int, int, bool], Link] = {}
        for name, population in plan.populations.items():
            incoming = plan.arriving(name) if name in self.names else []
            if population.has_membrane and name in self.names:
                neuron, bias = integer_neuron(graph, name), _compact(resting[name])
                cell = NeuronCell if population.kind == "neuron" else ReadoutCell
                self.cells[name] = cell(population, neuron, bias, time_steps, name in uncertified)
            elif name in plan.delays and name in self.names:
                steps = plan.delays[name]
                self.cells[name] = DelayCell(population, steps, graph.chip, time_steps, name in uncertified)
            else:
                self.cells[name] = Cell(population, graph.chip, name in uncertified)
            for connection in incoming:
                self._connect(graph, connection, bounds)
        self.records = {
            name: create_record(folder, plan, name, len(frames) - plan.depth)
            for name in plan.recorded
            if name in self.names
        }

    def _connect(self, graph: FlatGraph, connection: Connection, bounds: dict[str, Interval]) -> None:
        target = self.cells[connection.target]
        unit = getattr(target, "unit", 1)
        back = connection.is_feedback
        key = (connection.source, connection.synapse, connection.delay, unit, back)  # targets may share a synapse
        if key not in self.links:
            source = self.cells[connection.source]
            self.links[key] = Link(graph, self.plan, source, connection, bounds[connection.source], unit)
        sums = self.links[key].sums.reshape(target.population.shape)
        target.arriving.append(sums)
        if back:
            target.returning.append(sums)

    def update(self, step: int) -> None:
        """All populations of the section at a time step, counted from 1; their values are recorded."""
        for name in self.names:
            cell = self.cells[name]
            if cell.population.kind == "input":
                cell.value[...] = self.frames[step - 1]
            else:
                cell.update(step)
            if name in self.records:
                row = step - 1 - cell.population.depth
                if 0 <= row < len(self.records[name]):
                    self.records[name][row] = cell.value

    def transmit(self) -> None:
        """All synapses that lead into the section, from the values of this step."""
        for link in self.links.values():
            link.transmit()


def _compact(bias: np.ndarray) -> np.ndarray:
    """A bias map as one number a channel where it is that: cheaper to add."""
    narrow = bias[:, :1, :1] if bias.ndim == 3 else bias
    return (narrow if np.array_equal(np.broadcast_to(narrow, bias.shape), bias) else bias).astype(np.float32)
