"""NIR's spiking nodes as a chip's integer neuron: a decay in 1/4096 and a threshold in 1/64, on Loihi."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..chip.arithmetic import check_below_limit, check_range, decay_membrane
from ..chip.chip import Chip
from ..errors import GraphError

TIME_STEP = 1e-4  # seconds; NIR's time constants are in seconds
TOLERANCE = 1e-6  # relative: NIR files hold parameters in float32


@dataclass(frozen=True)
class IntegerNeuron:
    """decay: what a step takes from the membrane, in 2^-decay_bits; threshold: in units of the membrane.

    Arrays in the node's shape, or of one element where all neurons are alike. For each step, strict:

        membrane <- toward_zero(membrane * (decay_unity - decay) / decay_unity) + current
        spike iff membrane > threshold;  membrane <- 0 on a spike
    """

    decay: np.ndarray
    threshold: np.ndarray
    chip: Chip

    @classmethod
    def of_rate(
        cls,
        name: str,
        *,
        rate: np.ndarray,
        threshold: np.ndarray,
        chip: Chip,
        gain: tuple[str, np.ndarray] | None = None,
        zeros: Mapping[str, np.ndarray] | None = None,
    ) -> IntegerNeuron:
        """The neuron that loses the share `rate` of its membrane at each step, or GraphError / RangeError.

        gain: its name and the share of a current that arrives, above 0: the membrane is held in units in which all of
        it arrives, so the threshold is divided by it. zeros: parameters that must be 0.
        Exact if decay_unity * rate is an integer.
        """
        unity = chip.decay_unity
        decay = np.rint(rate * unity)
        for field, values in (zeros or {}).items():
            require(name, field, values, 0.0, "0")
        if gain:
            _require_above_zero(name, f"gain {gain[0]}", gain[1])
            threshold = np.asarray(threshold, np.float64) / gain[1]
        what = f"decay {unity} * time_step / tau"
        require(name, what, rate * unity, decay, "an integer")
        check_range(name, what, decay, 0, unity)
        check_range(name, "threshold", np.floor(threshold), *chip.threshold_range)
        threshold = np.floor(np.asarray(threshold, np.float64) * chip.fraction).astype(np.int64)
        return cls(decay.astype(np.int64), threshold, chip)

    @property
    def forgets(self) -> bool:
        """Whether nothing of the membrane is left at the next step, as of a gate."""
        return bool(np.all(self.decay == self.chip.decay_unity))

    def rest(self, shape: tuple[int, ...]) -> np.ndarray:
        """Membranes before the first step."""
        return np.zeros(shape, np.int64)

    def charge(self, membrane: np.ndarray, current: np.ndarray) -> np.ndarray:
        """The membrane after leak and input, before it is compared with the threshold."""
        return decay_membrane(membrane, self.decay, self.chip) + current

    def fire(self, membrane: np.ndarray) -> np.ndarray:
        """Where the membrane exceeds the threshold (bool); it is cleared there, in place."""
        fired = membrane > self.threshold
        membrane[fired] = 0
        return fired

    def run(self, name: str, current: np.ndarray) -> np.ndarray:
        """Spikes [T, B, ...] (int8) for currents [T, B, ...] in units of the membrane, from rest.

        Raises RangeError when the membrane reaches the chip's limit, where it would saturate.
        """
        membrane = self.rest(current.shape[1:])
        spikes = np.empty(current.shape, dtype=np.int8)
        for t, arriving in enumerate(current):
            membrane = self.charge(membrane, arriving)
            check_below_limit(name, f"membrane at time step {t}", membrane, self.chip)
            spikes[t] = self.fire(membrane)
        return spikes

    def uniform(self, name: str) -> tuple[int, int]:
        """(decay, threshold in synaptic units) if all neurons of the population share them, as Lava's do.

        Raises GraphError if they differ, or if the threshold has a fraction that integers cannot express.
        """
        values = []
        for what, array in (("decay", self.decay), ("threshold", self.threshold)):
            if array.size and array.min() != array.max():
                raise GraphError(f"{name}: {what} differs within the population; Lava has one for all its neurons")
            values.append(int(array.flat[0]))
        decay, threshold = values
        fraction = self.chip.fraction
        if not self.forgets and threshold % fraction:
            raise GraphError(f"{name}: threshold {threshold / fraction:g} has a fraction; Loihi's is an integer")
        return decay, threshold // fraction


@dataclass(frozen=True)
class FloatNeuron:
    """kept: what a step leaves of the membrane; gain: what of the input reaches it; threshold: of the membrane.

    v <- kept * v + gain * I;  spike iff v > threshold (strict), then v <- 0.
    """

    kept: np.ndarray
    gain: np.ndarray
    threshold: np.ndarray

    @classmethod
    def of_rate(
        cls, name: str, *, rate: np.ndarray, gain: np.ndarray, threshold: np.ndarray, zeros: Mapping[str, np.ndarray]
    ) -> FloatNeuron:
        """The neuron that loses the share `rate` at each step. zeros: parameters that must be 0, or GraphError."""
        for field, values in zeros.items():
            if np.any(values):
                raise GraphError(f"{name}: {field} is not 0")
        if not np.all(gain):
            raise GraphError(f"{name}: r is 0; no input would reach the membrane")
        return cls(1.0 - rate, gain, threshold.astype(np.float64))

    def run(self, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spikes, int8, and membrane minus threshold before any reset, for currents [T, B, ...], from rest."""
        membrane = np.zeros(current.shape[1:])
        spikes, excess = np.empty(current.shape, np.int8), np.empty(current.shape)
        for t, arriving in enumerate(current):
            membrane = self.kept * membrane + self.gain * arriving
            excess[t] = membrane - self.threshold
            spikes[t] = excess[t] > 0
            membrane[spikes[t] != 0] = 0
        return spikes, excess

    def uniform(self, name: str) -> tuple[float, float, float]:
        """(kept, gain, threshold) if all neurons share them, as Lava's do. Raises GraphError if they differ."""
        if max(len(self.kept.flat), len(self.gain.flat), len(self.threshold.flat)) > 1:
            raise GraphError(f"{name}: constants differ within the population; Lava has one set for all its neurons")
        return float(self.kept[0]), float(self.gain[0]), float(self.threshold[0])


def distinct(parameter: np.ndarray) -> np.ndarray:
    """The one value of a parameter that is alike for all neurons, as [1]; else the parameter."""
    parameter = np.asarray(parameter)
    first = parameter.reshape(-1)[:1]
    alike = not any(parameter.strides) or bool((parameter == first).all())
    return first if alike else parameter


def _require_above_zero(name: str, what: str, values: np.ndarray) -> None:
    wrong = ~((values > 0) & np.isfinite(values))
    if wrong.any():
        raise GraphError(f"{name}: {what} is {values[wrong].reshape(-1)[0]:g}; it must be a finite number above 0")


def require(name: str, what: str, values: np.ndarray, wanted: np.ndarray | float, described: str) -> None:
    """Raise GraphError unless a parameter is what the integer neuron needs, up to single precision."""
    values = np.asarray(values, np.float64)
    wrong = ~(np.abs(values - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
    if wrong.any():
        raise GraphError(f"{name}: {what} is {values[wrong].reshape(-1)[0]:g}; the integer neuron needs {described}")
