"""A Lava process that writes what it receives to a file.

Lava reads a variable back one element a message; a population's record has millions. This sink fills a
memory-mapped .npy instead, which the reader opens when the run is over.
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

from ..space import whole_memmap


class Recorder(AbstractProcess):
    """Records `steps` time steps of a population from `first_step` on (Lava counts from 1), channels first."""

    def __init__(self, *, shape: tuple[int, ...], file: str, first_step: int, steps: int, dtype: type) -> None:
        super().__init__(file=file, first_step=first_step)
        stored = (shape[-1], *shape[:-1]) if len(shape) == 3 else shape
        whole_memmap(file, dtype, (steps, *stored))
        self.a_in = InPort(shape=shape)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecorderModel(PyLoihiProcessModel):
    """Writes one row a time step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.lib.format.open_memmap(proc_params["file"], mode="r+")

    def run_spk(self) -> None:
        """Receive this step's values; keep them if they belong to the stream of images."""
        values = self.a_in.recv()
        row = self.time_step - self.proc_params["first_step"]
        if 0 <= row < len(self.rows):
            self.rows[row] = np.moveaxis(values, -1, 0) if values.ndim == 3 else values


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatRecorderModel(RecorderModel):
    """The same for what is not whole."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
