"""Lava's LIFReset for what Lava has no process of: neurons that differ, and membranes that are sent on.

Lava has one decay and one threshold for all of a population. The models are Lava's own bit-accurate ones, whose
arithmetic NumPy applies to arrays as it does to single numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifResetModelBitAcc, PyLifResetModelFloat
from lava.proc.lif.process import LIFReset


class VariedLIFReset(LIFReset):
    """LIFReset with du, dv and vth in the population's shape; du may be -1, with which a current never decays."""

    def __init__(self, *, shape: tuple[int, ...], du: Any, dv: Any, vth: Any, **options: Any) -> None:
        super().__init__(shape=shape, **options)
        self.du, self.dv, self.vth = (Var(shape=shape, init=_spread(values, shape)) for values in (du, dv, vth))


class ReadMembrane(VariedLIFReset):
    """Never fires: it sends its membrane, times a gain where numbers are not integers."""

    def __init__(self, *, shape: tuple[int, ...], gain: Any = 1, **options: Any) -> None:
        super().__init__(shape=shape, **options)
        self.gain = Var(shape=shape, init=_spread(gain, shape))


def _spread(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values)
    spread: np.ndarray = np.broadcast_to(array, shape).astype(float if array.dtype.kind == "f" else np.int32)
    return spread


@implements(proc=VariedLIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class VariedLIFResetModel(PyLifResetModelBitAcc):
    """Lava's model, with arrays."""

    implements_process = None  # not LIFReset, as Lava's does

    du: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


@implements(proc=VariedLIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class VariedLIFResetFloatModel(PyLifResetModelFloat):
    """Lava's model, with arrays."""

    implements_process = None  # not LIFReset, as Lava's does

    du: np.ndarray = LavaPyType(np.ndarray, float)
    dv: np.ndarray = LavaPyType(np.ndarray, float)
    vth: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=ReadMembrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class ReadMembraneModel(VariedLIFResetModel):
    """Lava's membrane, which nothing resets within a window."""

    implements_process = None  # not VariedLIFReset

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    gain: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def spiking_activation(self) -> np.ndarray:
        """What is sent."""
        return self.v.copy()

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """No spike, no reset."""


@implements(proc=ReadMembrane, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class ReadMembraneFloatModel(VariedLIFResetFloatModel):
    """The same for any numbers."""

    implements_process = None  # not VariedLIFReset

    gain: np.ndarray = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> np.ndarray:
        """What is sent: the membrane in NIR's terms."""
        given: np.ndarray = self.gain * self.v
        return given

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """No spike, no reset."""
