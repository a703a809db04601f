"""Max-pooling of currents as one operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ...errors import GraphError, RangeError
from ..gates.max_pool import OPERATION as NAME
from ..gates.max_pool import current_pool_graph, gate_count
from .operation import Operation, integer

LARGEST_WINDOW = 255
LARGEST_CURRENT = 1 << 17  # the limit of a sum


@dataclass(frozen=True)
class MaxPoolOperation(Operation):
    """Max-pool of currents, PyTorch's: padding never wins. [N, C, H, W] -> [N, C, H', W'].

    low, high: the currents for which the gates were built.
    """

    name = NAME

    kernel: int
    stride: int
    padding: int
    low: int
    high: int

    @classmethod
    def from_metadata(
        cls, input_shape: tuple[int, ...], output_shape: tuple[int, ...], values: Mapping[str, Any]
    ) -> MaxPoolOperation:
        """kernel, stride, padding, low and high from metadata."""
        kernel, stride, padding = (integer(values, field, LARGEST_WINDOW) for field in ("kernel", "stride", "padding"))
        low, high = (integer(values, field, LARGEST_CURRENT) for field in ("low", "high"))
        if kernel < 1 or kernel % 2 == 0 or stride < 1 or not 0 <= padding < kernel or low > high:
            raise ValueError(f"kernel {kernel}, stride {stride}, padding {padding} and {low} .. {high} are no max-pool")
        pooled = tuple((n + 2 * padding - kernel) // stride + 1 for n in input_shape[1:])
        if len(input_shape) != 3 or tuple(output_shape) != (input_shape[0], *pooled):
            raise ValueError(f"its shapes are {input_shape} and {output_shape}; a max-pool gives {pooled} in a channel")
        return cls(input_shape, output_shape, kernel, stride, padding, low, high)

    def gates(self) -> nir.NIRGraph:
        """max(a, b) = b + max(0, a - b), whose binary digits are gates; tap by tap along both axes."""
        return current_pool_graph(self.input_shape, (self.kernel, self.stride, self.padding), self.low, self.high)

    @property
    def gate_count(self) -> int:
        """Of all digits of all differences."""
        return gate_count(self.input_shape, (self.kernel, self.stride, self.padding), self.low, self.high)

    def check_inputs(self, name: str, x: np.ndarray) -> None:
        """The gates have digits for differences of currents within low .. high."""
        if x.size and not (x.min() >= self.low and x.max() <= self.high):
            worst = x.min() if x.min() < self.low else x.max()
            raise RangeError(f"{name}: a current of {worst:g} arrives; its gates compare {self.low} .. {self.high}")

    def apply(self, x: np.ndarray) -> np.ndarray:
        """First along the height, then along the width."""
        for axis in (2, 3):
            pad = [(self.padding, self.padding) if a == axis else (0, 0) for a in range(4)]
            padded = np.pad(x, pad, constant_values=-np.inf)
            last = self.stride * (self.output_shape[axis - 1] - 1) + 1
            taps = [slice(tap, tap + last, self.stride) for tap in range(self.kernel)]
            candidates = [padded[(slice(None),) * axis + (tap,)] for tap in taps]
            x = candidates[0].copy()
            for candidate in candidates[1:]:
                np.maximum(x, candidate, out=x)
        return x

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """A maximum is one of its candidates."""
        return low, high

    def at_rest(self, constant: np.ndarray) -> np.ndarray:
        """max(x + b) = max(x) + b for one bias b a channel."""
        bias = constant[:, :1, :1]
        if not np.array_equal(np.broadcast_to(bias, constant.shape), constant):
            raise GraphError("a max-pool of currents reads a bias that differs within a channel")
        return np.broadcast_to(bias, self.output_shape)

    def samples(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Currents over the whole range and, in every other sample, within a few of each other; then the extremes."""
        drawn = random.integers(self.low, self.high + 1, (count, *self.input_shape))
        near = self.low + random.integers(0, min(4, self.high - self.low) + 1, drawn.shape)
        drawn[1::2] = near[1::2]
        drawn[2::3] = np.where(random.random(drawn[2::3].shape) < 0.5, self.low, self.high)
        return drawn.astype(np.float64)


OPERATION = MaxPoolOperation
