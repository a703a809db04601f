"""A Lava process that watches one population of Lava's own for what Lava would wrap or clip without a word.

It receives what the population receives, and steps the same integer neuron beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ....chip.arithmetic import check_below_limit, check_message
from ....chip.chip import Chip
from ....graph.neuron import IntegerNeuron


class Guard(AbstractProcess):
    """population: its name; neuron, bias (in units of the membrane) and reset of one that spikes, else None."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        population: str,
        chip: Chip,
        neuron: IntegerNeuron | None = None,
        bias: np.ndarray | None = None,
        reset: tuple[int, int] = (1, 0),
    ) -> None:
        super().__init__(population=population, chip=chip, neuron=neuron, bias=bias, reset=reset, guarded=shape)
        self.a_in = InPort(shape=shape)


@implements(proc=Guard, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GuardModel(PyLoihiProcessModel):
    """Raises RangeError where the interpreter does, which ends the run."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self.population, self.chip = proc_params["population"], proc_params["chip"]
        self.neuron: IntegerNeuron | None = proc_params["neuron"]
        self.bias, (self.interval, self.offset) = proc_params["bias"], proc_params["reset"]
        self.state = self.neuron.rest(proc_params["guarded"]) if self.neuron else None

    def run_spk(self) -> None:
        """One time step."""
        total = self.a_in.recv().astype(np.int64)
        if self.neuron is None or self.state is None:
            check_message(self.population, "sum of messages", total, self.chip)
            return
        current = total * self.chip.fraction
        check_below_limit(self.population, "sum of inputs", current, self.chip)
        if self.time_step % self.interval == self.offset:
            self.state = self.neuron.rest(total.shape)
        self.neuron.charge(self.state, current, self.bias)
        self.neuron.check(self.population, self.state)
        self.neuron.fire(self.state)
