"""What goes into a network that takes values in time as they are, and what comes out: networks of other tools."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from ..errors import GraphError, InputError
from .encoding import INPUT_LIMIT, Encoding


@dataclass(frozen=True)
class SequenceEncoding(Encoding):
    """How a network of sequences [T, B, *input_shape] is fed and read: spikes, counts or real values, in time.

    input_shape: of one time step of one sample; time_steps: T of its calibration. low, high: the integers that may
    arrive. logit_scale: what 1 at the output, summed over time, is worth.
    """

    time_steps: int = 1
    low: int = -INPUT_LIMIT
    high: int = INPUT_LIMIT

    def calibrated(self, inputs: Any) -> SequenceEncoding:
        """The encoding for inputs of this kind, [T, B, *input_shape]: spikes, counts up to 127, or real values.

        Integers are taken as they are, others at a scale of their largest magnitude / 127. Raises InputError for
        inputs that do not fit, and for what is 0 throughout and not of integers.
        """
        values = self._checked(inputs)
        largest = float(np.abs(values).max())
        if largest <= INPUT_LIMIT and np.array_equal(values, np.rint(values)):
            low = 0 if values.min() >= 0 else -INPUT_LIMIT
            high = 1 if low == 0 and largest <= 1 else INPUT_LIMIT
            return replace(self, time_steps=len(values), low=low, high=high)
        return replace(self, time_steps=len(values), input_scale=largest / INPUT_LIMIT)

    def encode(self, inputs: Any) -> np.ndarray:
        """What the network receives: int8 [T, B, *input_shape], round(inputs / input_scale).

        Raises InputError for another shape or type, and for a value outside low .. high.
        """
        values = np.rint(self._checked(inputs) / self.input_scale)
        if values.min() < self.low or values.max() > self.high:
            worst = values.reshape(-1)[np.argmax(np.maximum(self.low - values, values - self.high))]
            kind = "spikes, 0 or 1" if (self.low, self.high) == (0, 1) else f"integers within {self.low} .. {self.high}"
            raise InputError(
                f"{self.name} takes {kind}, as its calibration has; an input is {worst * self.input_scale:g}: "
                "calibrate with inputs of the whole range"
            )
        return values.astype(np.int8)

    def present(self, inputs: Any) -> np.ndarray:
        """Inputs as they are, float64 [T, B, *input_shape]. Raises InputError for another shape or type."""
        return self._checked(inputs)

    def to_metadata(self) -> dict[str, Any]:
        """Plain values for a graph's metadata."""
        return {"name": self.name, "input_scale": self.input_scale, "output_scale": self.logit_scale}

    def _checked(self, inputs: Any) -> np.ndarray:
        """What may be shown, float64 [T, B, *input_shape]."""
        inputs = np.asarray(inputs)
        wanted = tuple(self.input_shape)
        if inputs.ndim != len(wanted) + 2 or inputs.shape[2:] != wanted or 0 in inputs.shape[:2]:
            shape = ", ".join(map(str, ("T", "B", *wanted)))
            raise InputError(f"{self.name} takes inputs [{shape}] with T and B >= 1; got {list(inputs.shape)}")
        if inputs.dtype.kind not in "biuf":
            raise InputError(f"{self.name} takes real numbers; got {inputs.dtype}")
        values = inputs.astype(np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{self.name}: an input is NaN or infinite")
        return values


def sequence_encoding_of(graph: nir.NIRGraph) -> SequenceEncoding | None:
    """The encoding that an exported graph of sequences carries in its metadata; None of a graph that carries none.

    Raises GraphError for numbers that are none, and scales that are not above 0.
    """
    found = graph.metadata
    if not {"name", "input_scale", "output_scale"} <= {*found}:
        return None
    (entry,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
    scales = []
    for field in ("input_scale", "output_scale"):
        value = np.asarray(found[field])
        if value.ndim or value.dtype.kind not in "iuf" or not 0 < float(value) < np.inf:
            raise GraphError(f"the graph's metadata says that {field} is {found[field]!r}; it must be a number above 0")
        scales.append(float(value))
    shape = tuple(int(n) for n in np.ravel(entry.input_type["input"]))
    return SequenceEncoding(str(found["name"]), shape, input_scale=scales[0], logit_scale=scales[1])
