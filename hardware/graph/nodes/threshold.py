"""Threshold: spike iff I > threshold, without memory; the gate of Boolean logic on spikes."""

from __future__ import annotations

import nir
import numpy as np

from ...chip.chip import Chip
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron, distinct
from .kind import Spiking


class ThresholdKind(Spiking):
    """A neuron that keeps nothing of its membrane."""

    node_type = nir.Threshold

    def threshold(self, node: nir.Threshold) -> np.ndarray:
        """threshold."""
        return np.asarray(node.threshold)

    def integer(self, name: str, node: nir.Threshold, time_step: float, chip: Chip) -> IntegerNeuron:
        """The decay is the largest there is."""
        return IntegerNeuron.of_rate(name, rate=np.ones(1), threshold=distinct(node.threshold), chip=chip)

    def floating(self, name: str, node: nir.Threshold, time_step: float) -> FloatNeuron:
        """All of the input, and nothing of the membrane."""
        threshold = distinct(node.threshold)
        return FloatNeuron.of_rate(name, rate=np.ones(1), gain=np.ones(1), threshold=threshold)


KIND = ThresholdKind()
