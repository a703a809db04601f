"""NIR's spiking nodes as a chip's integer neuron: decays in 1/4096 and a threshold in 1/64, on Loihi."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..chip.arithmetic import check_below_limit, check_range, decay_membrane
from ..chip.chip import Chip
from ..errors import GraphError

TIME_STEP = 1e-4  # seconds; NIR's time constants are in seconds
TOLERANCE = 1e-6  # relative: NIR files hold parameters in float32
NEVER = 1 << 62  # a threshold that no membrane exceeds: of one that is only read


@dataclass
class NeuronState:
    """What a population keeps between two time steps, [B, ...] in units of the membrane."""

    membrane: np.ndarray
    current: np.ndarray | None = None  # of neurons whose current lasts longer than a step


@dataclass(frozen=True)
class IntegerNeuron:
    """decay: what a step takes from the membrane, in 2^-decay_bits; threshold: in units of the membrane.

    Arrays in the node's shape, or of one element where all neurons are alike. For each step, strict:

        current <- toward_zero(current * (decay_unity - current_decay) / decay_unity) + sum of W x
        membrane <- toward_zero(membrane * (decay_unity - decay) / decay_unity) + current + bias
        spike iff membrane > threshold;  membrane <- 0 on a spike

    current_decay: in 2^-decay_bits as well; None: a current lasts one step.
    """

    decay: np.ndarray
    threshold: np.ndarray
    chip: Chip
    current_decay: np.ndarray | None = None

    @classmethod
    def of_rate(
        cls,
        name: str,
        *,
        rate: np.ndarray,
        threshold: np.ndarray | None,
        chip: Chip,
        gain: tuple[str, np.ndarray] | None = None,
        current_rate: np.ndarray | None = None,
    ) -> IntegerNeuron:
        """The neuron that loses the share `rate` of its membrane at each step, or GraphError / RangeError.

        gain: its name and the share of a current that arrives, above 0: the membrane is held in units in which all of
        it arrives, so the threshold is divided by it. current_rate: what a step takes from the current.
        threshold: None of a membrane that is read, and never fires. Exact if decay_unity * rate is an integer.
        """
        decay = _decay(name, "tau" if current_rate is None else "tau_mem", rate, chip)
        current_decay = None if current_rate is None else _decay(name, "tau_syn", current_rate, chip)
        if gain:
            _require_above_zero(name, f"gain {gain[0]}", gain[1])
        if threshold is None:
            level = np.full(1, NEVER)
        else:
            threshold = np.asarray(threshold, np.float64) / (_close_to(1.0, gain[1]) if gain else 1.0)
            check_range(name, "threshold", np.floor(threshold), *chip.threshold_range)
            level = np.floor(threshold * chip.fraction).astype(np.int64)
        neuron = cls(decay, level, chip, current_decay)
        return neuron if neuron.keeps_current else replace(neuron, current_decay=None)

    @property
    def keeps_current(self) -> bool:
        """Whether some current lasts longer than a step."""
        return self.current_decay is not None and bool(np.any(self.current_decay < self.chip.decay_unity))

    @property
    def fires(self) -> bool:
        """Whether it ever does; else its membrane is what it gives."""
        return bool((self.threshold < NEVER).all())

    @property
    def forgets(self) -> bool:
        """Whether nothing is left at the next step, as of a gate."""
        return bool(np.all(self.decay == self.chip.decay_unity)) and not self.keeps_current

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Its parameters by name; current_decay where a current lasts, threshold NEVER where none is."""
        found = {"decay": self.decay, "threshold": self.threshold}
        return found if self.current_decay is None else {**found, "current_decay": self.current_decay}

    def rest(self, shape: tuple[int, ...]) -> NeuronState:
        """The state before the first step."""
        zeros = np.zeros(shape, np.int64)
        return NeuronState(zeros, np.zeros_like(zeros) if self.keeps_current else None)

    def charge(self, state: NeuronState, sums: np.ndarray, bias: np.ndarray | int) -> None:
        """The state after leak and input, before the membrane is compared with the threshold.

        sums: of W x; bias: what arrives without any spike; both in units of the membrane.
        """
        if state.current is not None and self.current_decay is not None:
            sums = state.current = decay_membrane(state.current, self.current_decay, self.chip) + sums
        state.membrane = decay_membrane(state.membrane, self.decay, self.chip) + sums + bias

    def check(self, name: str, state: NeuronState, when: str = "") -> None:
        """Raise RangeError if current or membrane is at the chip's limit, where they would wrap or saturate."""
        if state.current is not None:
            check_below_limit(name, f"current{when}", state.current, self.chip)
        check_below_limit(name, f"membrane{when}", state.membrane, self.chip)

    def fire(self, state: NeuronState) -> np.ndarray:
        """Where the membrane exceeds the threshold (bool); it is cleared there, in place."""
        fired: np.ndarray = state.membrane > self.threshold
        state.membrane[fired] = 0
        return fired

    def run(self, name: str, sums: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Spikes [T, B, ...] (int8) for sums of W x [T, B, ...] and a bias [...], from rest.

        Raises RangeError when the current or the membrane reaches the chip's limit.
        """
        state = self.rest(sums.shape[1:])
        spikes = np.empty(sums.shape, dtype=np.int8)
        for t, arriving in enumerate(sums):
            self.charge(state, arriving, bias)
            self.check(name, state, f" at time step {t}")
            spikes[t] = self.fire(state)
        return spikes

    def read(self, name: str, sums: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """The membrane [T, B, ...] of a neuron that never fires; else as `run`."""
        state = self.rest(sums.shape[1:])
        membranes = np.empty(sums.shape)
        for t, arriving in enumerate(sums):
            self.charge(state, arriving, bias)
            self.check(name, state, f" at time step {t}")
            membranes[t] = state.membrane
        return membranes

    def synaptic_threshold(self, name: str) -> np.ndarray:
        """The threshold in synaptic units, as Loihi holds it.

        Raises GraphError where it has a fraction that integers cannot express, unless the membrane has none.
        """
        fraction = self.chip.fraction
        broken = self.threshold[self.threshold % fraction != 0]
        if broken.size and not self.forgets:
            raise GraphError(f"{name}: threshold {broken[0] / fraction:g} has a fraction; Loihi's is an integer")
        return self.threshold // fraction

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> IntegerNeuron:
        """The neuron with other arrays for its numbers: those of one neuron, or in another order of axes."""
        return IntegerNeuron(chip=self.chip, **{field: change(values) for field, values in self.numbers.items()})


def distinct(parameter: np.ndarray) -> np.ndarray:
    """The one value of a parameter that is alike for all neurons, as [1]; else the parameter."""
    parameter = np.asarray(parameter)
    first = parameter.reshape(-1)[:1]
    alike = not any(parameter.strides) or bool((parameter == first).all())
    return first if alike else parameter


def level_of_rest(name: str, v_leak: np.ndarray, v_reset: np.ndarray) -> np.ndarray:
    """The level at which a membrane rests and to which it is reset: an integer neuron's 0. Raises GraphError if none.

    The integer neuron's threshold is the node's minus this level.
    """
    leak, reset = (distinct(values).astype(np.float64) for values in (v_leak, v_reset))
    if bool(np.all(leak == reset)):
        return reset
    for field, values in (("v_reset", reset), ("v_leak", leak)):
        require(name, field, values, 0.0, "0, or v_leak and v_reset alike")
    return np.zeros(1)


def _decay(name: str, tau: str, rate: np.ndarray, chip: Chip) -> np.ndarray:
    """A rate in the chip's units, int64. Raises GraphError unless it is an integer there, RangeError outside 0 .. 1."""
    unity = chip.decay_unity
    decay = np.rint(rate * unity)
    what = f"decay {unity} * time_step / {tau}"
    require(name, what, rate * unity, decay, "an integer")
    check_range(name, what, decay, 0, unity)
    return decay.astype(np.int64)


def rate_of(tau: np.ndarray, time_step: float) -> np.ndarray:
    """What a step takes from what decays with tau, by Euler's rule: time_step / tau."""
    rate: np.ndarray = time_step / distinct(tau).astype(np.float64)
    return rate


def held_rate(rate: np.ndarray, chip: Chip) -> np.ndarray:
    """A rate as the chip holds it, where it is that but for the rounding of a file's float32."""
    return _close_to(np.rint(rate * chip.decay_unity) / chip.decay_unity, rate)


def _close_to(wanted: np.ndarray | float, values: np.ndarray) -> np.ndarray:
    """What is wanted wherever the values are that but for rounding; else the values."""
    return np.where(np.abs(values - wanted) <= TOLERANCE * np.abs(wanted), wanted, values)


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
