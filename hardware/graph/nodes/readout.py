"""What I, LI and CubaLI share: a membrane that is read at an Output, and never fires."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...chip.chip import Chip
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron, distinct, rate_of, require
from ..windows import Shape
from .kind import Readout, expect

NEVER = np.full(1, np.inf)  # the threshold


class ReadoutKind(Readout):
    """The membrane of the neuron of the same parameters that fires.

    membrane_time, current_time: the fields of the time constants, where there are any.
    """

    membrane_time: ClassVar[str | None] = None
    current_time: ClassVar[str | None] = None

    def output_shape(self, name: str, node: Any, source: str, shape: Shape) -> Shape:
        """The shape of r."""
        expect(name, source, shape, tuple(np.shape(node.r)))
        return shape

    def integer(self, name: str, node: Any, time_step: float, chip: Chip) -> IntegerNeuron:
        """Its membrane is v divided by the gain of all that arrives. v_leak must be 0."""
        require(name, "v_leak", self._leak(node), 0.0, "0")
        taken, gain, current = self._shares(node, time_step)
        whole = gain if current is None else gain * current[1]
        current_rate = None if current is None else current[0]
        gain_of = ("of all that arrives", whole)
        return IntegerNeuron.of_rate(
            name, rate=taken, threshold=None, chip=chip, gain=gain_of, current_rate=current_rate
        )

    def floating(self, name: str, node: Any, time_step: float) -> FloatNeuron:
        """Any parameters; the membrane starts at 0."""
        taken, gain, current = self._shares(node, time_step)
        leak = self._leak(node)
        return FloatNeuron.of_rate(name, rate=taken, gain=gain, threshold=NEVER, leak=leak, current=current)

    def _leak(self, node: Any) -> np.ndarray:
        return distinct(getattr(node, "v_leak", np.zeros(1))).astype(np.float64)

    def _shares(
        self, node: Any, time_step: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        """What a step takes from the membrane, what of the current reaches it, and both of the current."""
        r = distinct(node.r).astype(np.float64)
        if self.membrane_time is None:
            return np.zeros(1), r * time_step, None
        taken = rate_of(getattr(node, self.membrane_time), time_step)
        if self.current_time is None:
            return taken, r * taken, None
        current = rate_of(getattr(node, self.current_time), time_step)
        return taken, r * taken, (current, distinct(node.w_in).astype(np.float64) * current)
