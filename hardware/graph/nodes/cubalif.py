"""CubaLIF: tau_syn dI/dt = w_in x - I, tau_mem dv/dt = v_leak - v + r I; spike iff v > v_threshold, v <- v_reset."""

from __future__ import annotations

import nir
import numpy as np

from ...chip.chip import Chip
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron, distinct, held_rate, level_of_rest, rate_of
from .kind import Spiking


class CubaLIFKind(Spiking):
    """I <- I + time_step / tau_syn * (w_in x - I);  v <- v + time_step / tau_mem * (v_leak - v + r I), the new I.

    An integer neuron, Loihi's with du and dv, if v_leak = v_reset and 4096 * time_step / tau_syn and tau_mem are
    integers; its membrane is v - v_reset divided by the gain of both together, and so is its threshold. A spike
    clears the membrane, not the current. On a chip a bias drives the membrane and passes the current by.
    """

    node_type = nir.CubaLIF

    def threshold(self, node: nir.CubaLIF) -> np.ndarray:
        """v_threshold."""
        return np.asarray(node.v_threshold)

    def integer(self, name: str, node: nir.CubaLIF, time_step: float, chip: Chip) -> IntegerNeuron:
        """The decays are time_step / tau_mem and time_step / tau_syn."""
        current_rate, rate = rate_of(node.tau_syn, time_step), rate_of(node.tau_mem, time_step)
        held, current_held = held_rate(rate, chip), held_rate(current_rate, chip)
        gain = distinct(node.w_in).astype(np.float64) * current_held * (distinct(node.r).astype(np.float64) * held)
        return IntegerNeuron.of_rate(
            name,
            rate=rate,
            threshold=distinct(node.v_threshold) - level_of_rest(name, node.v_leak, node.v_reset),
            chip=chip,
            gain=("w_in * time_step / tau_syn * r * time_step / tau_mem", gain),
            current_rate=current_rate,
        )

    def floating(self, name: str, node: nir.CubaLIF, time_step: float) -> FloatNeuron:
        """Any parameters."""
        current_rate, rate = rate_of(node.tau_syn, time_step), rate_of(node.tau_mem, time_step)
        return FloatNeuron.of_rate(
            name,
            rate=rate,
            gain=distinct(node.r).astype(np.float64) * rate,
            threshold=distinct(node.v_threshold),
            leak=distinct(node.v_leak),
            reset=distinct(node.v_reset),
            current=(current_rate, distinct(node.w_in).astype(np.float64) * current_rate),
        )


KIND = CubaLIFKind()
