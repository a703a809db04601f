"""IF: dv/dt = r I, by Euler's rule; spike iff v > v_threshold, then v <- v_reset."""

from __future__ import annotations

import nir
import numpy as np

from ...chip.chip import Chip
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron, distinct, require
from .kind import Spiking


class IFKind(Spiking):
    """v <- v + time_step * r I. An integer neuron if r * time_step = 1; its membrane is v - v_reset."""

    node_type = nir.IF

    def threshold(self, node: nir.IF) -> np.ndarray:
        """v_threshold."""
        return np.asarray(node.v_threshold)

    def integer(self, name: str, node: nir.IF, time_step: float, chip: Chip) -> IntegerNeuron:
        """Nothing of the membrane is lost. The gain must be 1: tools that mean it write r = 1, a silent neuron."""
        gain = distinct(node.r).astype(np.float64) * time_step
        require(name, "gain r * time_step", gain, 1.0, "1")
        threshold = distinct(node.v_threshold).astype(np.float64) - distinct(node.v_reset)
        return IntegerNeuron.of_rate(name, rate=np.zeros(1), threshold=threshold, chip=chip)

    def floating(self, name: str, node: nir.IF, time_step: float) -> FloatNeuron:
        """Any parameters."""
        return FloatNeuron.of_rate(
            name,
            rate=np.zeros(1),
            gain=distinct(node.r).astype(np.float64) * time_step,
            threshold=distinct(node.v_threshold),
            reset=distinct(node.v_reset),
        )


KIND = IFKind()
