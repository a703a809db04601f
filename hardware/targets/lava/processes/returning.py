"""A Lava process on the way of a population's spikes back to itself: it keeps those of the last image out of the next.

LIFReset resets what neurons hold; what a synapse holds for the next step it does not reach.
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


class Returning(AbstractProcess):
    """Passes on what a synapse gives, without delay, but at the steps at which the population is reset: zeros.

    size: of the vector; reset: the population's interval and offset.
    """

    def __init__(self, *, size: int, reset: tuple[int, int]) -> None:
        super().__init__(reset=reset)
        self.s_in = InPort(shape=(size,))
        self.a_out = OutPort(shape=(size,))


@implements(proc=Returning, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ReturningModel(PyLoihiProcessModel):
    """A synapse sends last step's sums before it receives, so that the cycle never waits for itself."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.interval, self.offset = proc_params["reset"]

    def run_spk(self) -> None:
        """One time step."""
        values = self.s_in.recv()
        begins = self.time_step % self.interval == self.offset
        self.a_out.send(np.zeros_like(values) if begins else values)


@implements(proc=Returning, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatReturningModel(ReturningModel):
    """The same for what is not whole."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
