"""Faster models of stock Lava processes, equal to Lava's own (tests/hardware/lava/test_models.py).

The processes stay Lava's, so the network stays the one that would go to hardware; only what computes them on
the CPU changes, chosen in the run configuration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed, PyConvModelFloat
from lava.proc.conv.process import Conv
from lava.proc.graded.models import AbstractGradedVecModel
from lava.proc.graded.process import GradedVec

from ...graph.windows import Window, convolve


class _Matrix:
    """Convolution by one matrix product for each position in the kernel.

    Lava's own makes one SciPy call for every pair of channels: 65,536 of them for a layer of 128 to 512.
    """

    def run_spk(self: Any) -> None:  # one of Lava's models
        """Send last step's sums, as every Loihi synapse does; then receive spikes and add up their weights."""
        self.a_out.send(self.a_buf)
        spikes = self.s_in.recv()
        if not self.num_message_bits.item():
            spikes = spikes.astype(bool)
        sums = convolve(
            spikes.transpose(2, 0, 1)[None].astype(np.float64),
            self.weight[:, ::-1, ::-1].transpose(0, 3, 1, 2),
            Window.of(self.weight.shape[1:3], self.stride, self.padding, self.dilation),
            int(self.groups[0]),
        )
        self.a_buf = self.clamp_precision(sums[0].transpose(1, 2, 0).astype(self.weight.dtype))


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MatrixConv(_Matrix, PyConvModelFixed):
    """Conv on integers."""


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatMatrixConv(_Matrix, PyConvModelFloat):
    """Conv on any numbers."""


@implements(proc=GradedVec, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatGradedVec(AbstractGradedVecModel):
    """GradedVec on any numbers, of which Lava has a fixed-point model only."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: np.ndarray = LavaPyType(np.ndarray, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    exp: np.ndarray = LavaPyType(np.ndarray, float)


def model_choice(stock_models: bool, floating_point: bool) -> tuple[str, dict[type, type]]:
    """The tag by which a run configuration selects Lava's models, and the processes that get one of ours."""
    if floating_point:
        return "floating_pt", {GradedVec: FloatGradedVec} | ({} if stock_models else {Conv: FloatMatrixConv})
    return "fixed_pt", {} if stock_models else {Conv: MatrixConv}
