"""LIF: tau dv/dt = v_leak - v + r I, by Euler's rule; spike iff v > v_threshold, then v <- v_reset."""

from __future__ import annotations

import nir
import numpy as np

from ...chip.chip import Chip
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron, distinct, held_rate, level_of_rest, rate_of
from .kind import Spiking


class LIFKind(Spiking):
    """v <- v + time_step / tau * (v_leak - v + r I).

    An integer neuron if v_leak = v_reset and 4096 * time_step / tau is an integer; its membrane is v - v_reset divided
    by the gain r * time_step / tau, and so is its threshold.
    """

    node_type = nir.LIF

    def threshold(self, node: nir.LIF) -> np.ndarray:
        """v_threshold."""
        return np.asarray(node.v_threshold)

    def integer(self, name: str, node: nir.LIF, time_step: float, chip: Chip) -> IntegerNeuron:
        """The decay is time_step / tau."""
        rate = rate_of(node.tau, time_step)
        return IntegerNeuron.of_rate(
            name,
            rate=rate,
            threshold=distinct(node.v_threshold) - level_of_rest(name, node.v_leak, node.v_reset),
            chip=chip,
            gain=("r * time_step / tau", distinct(node.r).astype(np.float64) * held_rate(rate, chip)),
        )

    def floating(self, name: str, node: nir.LIF, time_step: float) -> FloatNeuron:
        """Any parameters."""
        rate = rate_of(node.tau, time_step)
        return FloatNeuron.of_rate(
            name,
            rate=rate,
            gain=distinct(node.r).astype(np.float64) * rate,
            threshold=distinct(node.v_threshold),
            leak=distinct(node.v_leak),
            reset=distinct(node.v_reset),
        )


KIND = LIFKind()
