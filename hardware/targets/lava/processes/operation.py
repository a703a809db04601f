"""The operation of a marked nested graph as one Lava process; Lava itself has none of these."""

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

from ....graph.operations import Operation


class OperationProcess(AbstractProcess):
    """Gives last step's result, as every synapse does. Values are vectors in NIR's order [C, H, W]."""

    def __init__(self, *, operation: Operation) -> None:
        super().__init__(operation=operation)
        self.s_in = InPort(shape=(int(np.prod(operation.input_shape)),))
        self.a_out = OutPort(shape=(int(np.prod(operation.output_shape)),))


@implements(proc=OperationProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class OperationModel(PyLoihiProcessModel):
    """Sends the result of last step's values, then computes that of this step's."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.operation: Operation = proc_params["operation"]
        self.result = np.zeros(int(np.prod(self.operation.output_shape)), np.int32)

    def run_spk(self) -> None:
        """One time step."""
        self.a_out.send(self.result)
        values = self.s_in.recv().reshape(1, *self.operation.input_shape).astype(np.float64)
        self.result = self.operation.apply(values).astype(np.int32).reshape(-1)
