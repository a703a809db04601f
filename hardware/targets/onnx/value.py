"""What a tensor of the ONNX graph holds: its type, between which numbers, and how fine.

Biases are left out of every value: what they add is known before anything runs (`at_rest`), and is added where a
neuron compares or an output shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...graph.nodes.kind import Interval

DType = np.dtype[Any]
UINT8: DType = np.dtype(np.uint8)
INT8: DType = np.dtype(np.int8)
INT32: DType = np.dtype(np.int32)
FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
FLOATS = (FLOAT32, FLOAT64)
MANTISSA = {FLOAT32: 1 << 24, FLOAT64: 1 << 53}  # integers up to here are exact


@dataclass(frozen=True)
class Value:
    """A tensor [T, B, H, W, C] for a node of shape [C, H, W]; [T, B, *shape] for any other.

    low <= 0 <= high: what its elements cannot leave. They are multiples of 2^-fraction. by_channel: least and largest
    value of each channel, where they are known, [C].
    """

    tensor: str
    dtype: DType
    low: float
    high: float
    fraction: int = 0
    by_channel: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def bounds(self) -> Interval:
        """low and high."""
        return self.low, self.high

    @property
    def most(self) -> float:
        """The largest magnitude."""
        return max(-self.low, self.high)


def holds(dtype: DType, low: float, high: float, fraction: int = 0) -> bool:
    """Whether a type has every multiple of 2^-fraction between two numbers."""
    if dtype in MANTISSA:
        return max(-low, high) * 2.0**fraction <= MANTISSA[dtype]
    limits = np.iinfo(dtype)
    return fraction == 0 and limits.min <= low and high <= limits.max


def first_that_holds(dtypes: Sequence[DType], low: float, high: float, fraction: int = 0) -> DType:
    """The first of these types that is exact; float64 has all that a chip's formats allow."""
    return next((dtype for dtype in dtypes if holds(dtype, low, high, fraction)), FLOAT64)
