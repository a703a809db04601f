"""NIR's spiking nodes as Loihi's integer neuron: a decay in 1/4096 and a threshold in 1/64."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from ..chip.fixed_point import (
    DECAY_UNITY,
    FRACTION,
    FRACTION_BITS,
    SUM_LIMIT,
    THRESHOLD_RANGE,
    RangeError,
    check_range,
    decay_membrane,
)
from ..errors import GraphError

TIME_STEP = 1e-4  # seconds; NIR's time constants are in seconds
TOLERANCE = 1e-6  # relative: NIR files hold parameters in float32


@dataclass(frozen=True)
class Neuron:
    """decay: what a step takes from the membrane, in 1/4096; threshold: in 1/64.

    Arrays in the node's shape, or of one element where all neurons are alike.
    """

    decay: np.ndarray
    threshold: np.ndarray

    @classmethod
    def from_node(cls, name: str, node: nir.NIRNode, time_step: float = TIME_STEP) -> Neuron:
        """Translate LIF, IF or Threshold exactly, or raise GraphError / RangeError.

        LIF, by Euler's rule: v <- v + time_step / tau * (v_leak - v + r I), spike iff v > v_threshold, then
        v <- v_reset. Exact if v_leak = v_reset = 0, r * time_step / tau = 1 and 4096 * time_step / tau is whole.
        IF: v <- v + time_step * r I, exact if r * time_step = 1. Threshold: spike iff I > threshold.
        """
        if isinstance(node, nir.Threshold):
            decay, threshold = np.array([DECAY_UNITY]), distinct(node.threshold)
        else:
            threshold = distinct(node.v_threshold)
            leaky = isinstance(node, nir.LIF)
            rate = time_step / distinct(node.tau).astype(np.float64) if leaky else np.zeros(1)
            gain = distinct(node.r).astype(np.float64) * (rate if leaky else time_step)
            decay = np.rint(rate * DECAY_UNITY)
            for field in ("v_leak", "v_reset") if leaky else ("v_reset",):
                _require(name, field, distinct(getattr(node, field)), 0.0, "0")
            _require(name, "gain r * time_step / tau" if leaky else "gain r * time_step", gain, 1.0, "1")
            _require(name, "decay 4096 * time_step / tau", rate * DECAY_UNITY, decay, "a whole number")
            check_range(name, "decay 4096 * time_step / tau", decay, 0, DECAY_UNITY)
        check_range(name, "threshold", np.floor(threshold), *THRESHOLD_RANGE)
        return cls(decay.astype(np.int64), np.floor(np.asarray(threshold, np.float64) * FRACTION).astype(np.int64))

    def run(self, name: str, current: np.ndarray) -> np.ndarray:
        """Spikes [T, B, ...] (int8) for currents [T, B, ...] in 1/64, from rest.

        Raises RangeError when the membrane reaches 2^17, where Loihi would saturate.
        """
        membrane = np.zeros(current.shape[1:], dtype=np.int64)
        spikes = np.empty(current.shape, dtype=np.int8)
        for t, arriving in enumerate(current):
            membrane = decay_membrane(membrane, self.decay) + arriving
            check_below_limit(name, f"membrane at time step {t}", membrane)
            spikes[t] = membrane > self.threshold
            membrane[spikes[t] != 0] = 0
        return spikes

    def uniform(self, name: str) -> tuple[int, int]:
        """(decay, threshold in synaptic units) if all neurons of the population share them, as Lava's do.

        Raises GraphError if they differ, or if the threshold has a fraction that whole numbers cannot express.
        """
        values = []
        for what, array in (("decay", self.decay), ("threshold", self.threshold)):
            if array.size and array.min() != array.max():
                raise GraphError(f"{name}: {what} differs within the population; Lava has one for all its neurons")
            values.append(int(array.flat[0]))
        decay, threshold = values
        if decay != DECAY_UNITY and threshold % FRACTION:
            raise GraphError(f"{name}: threshold {threshold / FRACTION:g} has a fraction; Loihi's is a whole number")
        return decay, threshold >> FRACTION_BITS


def check_below_limit(name: str, what: str, values: np.ndarray) -> None:
    """Raise RangeError if |values|, in 1/64, reaches 2^17 synaptic units."""
    worst = int(np.abs(values).max(initial=0))
    if worst >= SUM_LIMIT * FRACTION:
        raise RangeError(f"{name}: {what} reaches {worst / FRACTION:g}, the limit is {SUM_LIMIT}; use smaller weights")


def distinct(parameter: np.ndarray) -> np.ndarray:
    """The one value of a parameter that is alike for all neurons, as [1]; else the parameter."""
    first = np.asarray(parameter).reshape(-1)[:1]
    alike = not any(parameter.strides) or bool((parameter == first).all())
    return first if alike else np.asarray(parameter)


def _require(name: str, what: str, values: np.ndarray, wanted: np.ndarray | float, described: str) -> None:
    values = np.asarray(values, np.float64)
    wrong = ~(np.abs(values - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
    if wrong.any():
        raise GraphError(f"{name}: {what} is {values[wrong].reshape(-1)[0]:g}; the integer neuron needs {described}")
