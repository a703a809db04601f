"""Delay: out(t) = in(t - delay), 0 before; each value by its own number of time steps."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ...chip.chip import Chip
from ...errors import GraphError
from ..windows import Shape
from .kind import Delaying, expect


class DelayKind(Delaying):
    """delay in seconds, in the shape of what arrives; rounded to time steps."""

    node_type = nir.Delay

    def parameters(self, node: nir.Delay) -> Mapping[str, np.ndarray]:
        """delay, in seconds."""
        return {"delay": np.asarray(node.delay)}

    def check_integers(self, name: str, node: nir.Delay, chip: Chip) -> None:
        """A delay is no weight."""

    def output_shape(self, name: str, node: nir.Delay, source: str, shape: Shape) -> Shape:
        """The shape of the delay."""
        expect(name, source, shape, tuple(np.shape(node.delay)))
        delays = np.asarray(node.delay)
        if (delays < 0).any():
            raise GraphError(f"node '{name}': delay is {delays.min():g}; it must be at least 0")
        return shape

    def steps(self, node: nir.Delay, time_step: float) -> np.ndarray:
        """round(delay / time_step)."""
        steps: np.ndarray = np.rint(np.asarray(node.delay, np.float64) / time_step).astype(np.int64)
        return steps


KIND = DelayKind()
