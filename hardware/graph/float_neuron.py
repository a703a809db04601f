"""NIR's spiking nodes by Euler's rule in float64, whatever their parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from .neuron import NeuronState

ZERO = np.zeros(1)


@dataclass(frozen=True)
class FloatNeuron:
    """kept: what a step leaves of the membrane; gain: what of the current reaches it; threshold: of the membrane.

    Arrays in the node's shape, or of one element where all neurons are alike. For each step, strict:

        I <- current_kept * I + current_gain * x          (without a current of its own: I = x)
        v <- kept * v + gain * I + drive;  spike iff v > threshold, then v <- reset

    drive: what every step adds, (1 - kept) * v_leak. reset: v_reset, where the membrane also starts.
    """

    kept: np.ndarray
    gain: np.ndarray
    threshold: np.ndarray
    drive: np.ndarray
    reset: np.ndarray
    current_kept: np.ndarray | None = None
    current_gain: np.ndarray | None = None

    @classmethod
    def of_rate(
        cls,
        name: str,
        *,
        rate: np.ndarray,
        gain: np.ndarray,
        threshold: np.ndarray,
        leak: np.ndarray = ZERO,
        reset: np.ndarray = ZERO,
        current: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> FloatNeuron:
        """The neuron that loses the share `rate` of v - leak at each step, or GraphError if no input reaches it.

        current: what a step takes from the current, and what of the input reaches it.
        """
        for what, values in (("r", gain), *((("w_in", current[1]),) if current else ())):
            if not np.all(values):
                raise GraphError(f"{name}: {what} is 0; no input would reach the membrane")
        taken, reaching = current or (None, None)
        kept = None if taken is None else 1.0 - taken
        return cls(
            kept=1.0 - rate,
            gain=gain,
            threshold=threshold.astype(np.float64),
            drive=rate * leak,
            reset=reset.astype(np.float64),
            current_kept=kept,
            current_gain=reaching,
        )

    def rest(self, shape: tuple[int, ...]) -> NeuronState:
        """The state before the first step."""
        current = None if self.current_kept is None else np.zeros(shape)
        return NeuronState(np.zeros(shape) + self.reset, current)

    def step(self, state: NeuronState, arriving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a population fires (bool), and its membrane minus its threshold before any reset."""
        if state.current is not None:
            arriving = state.current = self.current_kept * state.current + self.current_gain * arriving
        membrane = self.kept * state.membrane + self.gain * arriving + self.drive
        excess = membrane - self.threshold
        fired = excess > 0
        state.membrane = np.where(fired, self.reset, membrane)
        return fired, excess

    def read(self, current: np.ndarray) -> np.ndarray:
        """The membrane for currents [T, B, ...], of a neuron that never fires."""
        state = self.rest(current.shape[1:])
        membranes = np.empty(current.shape)
        for t, arriving in enumerate(current):
            self.step(state, arriving)
            membranes[t] = state.membrane
        return membranes

    def run(self, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spikes, int8, and membrane minus threshold before any reset, for currents [T, B, ...], from rest."""
        state = self.rest(current.shape[1:])
        spikes, excess = np.empty(current.shape, np.int8), np.empty(current.shape)
        for t, arriving in enumerate(current):
            spikes[t], excess[t] = self.step(state, arriving)
        return spikes, excess
