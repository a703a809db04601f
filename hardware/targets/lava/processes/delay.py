"""A Lava process of ours that holds values back, each by its own number of time steps, within one image's window.

Lava's DelaySparse would give the last spikes of an image to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ....graph.delay_line import DelayLine


class Delay(AbstractProcess):
    """steps: in the population's shape; reset: the interval and the offset of its windows."""

    def __init__(self, *, steps: np.ndarray, reset: tuple[int, int]) -> None:
        super().__init__(steps=steps, reset=reset)
        self.a_in = InPort(shape=steps.shape)
        self.s_out = OutPort(shape=steps.shape)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayModel(PyLoihiProcessModel):
    """Costs no time step but those of its delay, as a neuron."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.line = DelayLine(proc_params["steps"])
        self.interval, self.offset = proc_params["reset"]

    def run_spk(self) -> None:
        """One time step."""
        values = self.a_in.recv()
        if self.time_step % self.interval == self.offset:
            self.line.clear()
        self.s_out.send(self.line.step(values))


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatDelayModel(DelayModel):
    """The same for what is not whole."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
