"""A Lava process that holds a section of a network; several of them make the whole.

All that crosses from one section to another travels on one bus, a vector in which every population has its place.
"""

from __future__ import annotations

from time import perf_counter
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

from ..section import Section


class SectionProcess(AbstractProcess):
    """One section. places: population -> slice of the bus, for all that cross between sections.

    times: an .npy file for the seconds of each step spent on neurons, on messages and on synapses.
    """

    def __init__(self, *, section: Section, places: dict[str, slice], width: int, name: str, times: str) -> None:
        super().__init__(section=section, places=places, name=name, times=times)
        self.bus_in = InPort(shape=(width,))
        self.bus_out = OutPort(shape=(width,))


@implements(proc=SectionProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SectionModel(PyLoihiProcessModel):
    """Updates its neurons, exchanges spikes, then adds up its synapses while the other sections do."""

    bus_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    bus_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.section: Section = proc_params["section"]
        places = proc_params["places"]
        self.sent = {name: place for name, place in places.items() if name in self.section.names}
        self.received = {name: place for name, place in places.items() if name not in self.section.names}
        self.times = np.lib.format.open_memmap(proc_params["times"], mode="r+")
        self.message = np.zeros(sum(place.stop - place.start for place in places.values()) or 1, np.int32)

    def run_spk(self) -> None:
        """One time step."""
        section, start = self.section, perf_counter()
        section.update(int(self.time_step))
        updated = perf_counter()
        for name, place in self.sent.items():
            self.message[place] = section.cells[name].value.reshape(-1)
        self.bus_out.send(self.message)
        arrived = self.bus_in.recv()
        for name, place in self.received.items():
            value = section.cells[name].value
            value[...] = arrived[place].reshape(value.shape)
        exchanged = perf_counter()
        section.transmit()
        self.times[self.time_step - 1] = updated - start, exchanged - updated, perf_counter() - exchanged
