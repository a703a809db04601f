"""A float neuron as the chip's integer one, and how far its membrane can go.

With v <- decay * v + gain * x and spike iff v >= v_threshold in the float network, the membrane in units of the input's
scale s is V = v / (gain * s): then V <- decay * V + x / s, and the threshold is v_threshold / (gain * s).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hardware.chip import Chip
from qkformer import Neuron


@dataclass(frozen=True)
class FixedNeuron:
    """decay in the chip's units (Loihi 2's are 1/4096) and threshold, of a neuron whose inputs are of some scale."""

    decay: int
    threshold: int

    @classmethod
    def of(cls, neuron: Neuron, scale: float, chip: Chip) -> FixedNeuron:
        """threshold = ceil(v_threshold / (gain * scale)) - 1, as the integer neuron compares with >, not >=."""
        decay = round((1.0 - neuron.decay) * chip.decay_unity)
        # A quotient that is an integer but for rounding must not be lifted to the next.
        return cls(decay, math.ceil(neuron.v_threshold / (neuron.input_gain * scale) - 1e-9) - 1)

    def membrane_bound(self, low: int, high: int, time_steps: int, chip: Chip) -> int:
        """Bound on |V| for sums within low .. high.

        From above by a membrane that just did not fire, from below by time_steps of the least sum.
        """
        kept = (chip.decay_unity - self.decay) / chip.decay_unity
        lowest = 0.0
        for _ in range(time_steps):
            lowest = min(0.0, lowest * kept + low)
        return math.ceil(max(self.threshold * kept + high, -lowest))
