"""Lava's LIFReset for populations whose neurons differ: one decay, one threshold a neuron, where Lava has one for all.

The model is Lava's own bit-accurate one, whose arithmetic NumPy applies to arrays as it does to single numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
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
