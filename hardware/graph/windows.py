"""Windows that slide over maps [C, H, W]: their geometry, and sums over them that are slow enough to be obvious.

Sums run in float64 matrix products. On the integers of a network every product and partial sum is a multiple of 1/64
far below 2^46, so no order of summation can round it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GraphError

Pair = tuple[int, int]
Shape = tuple[int, ...]


def pair(value: Any) -> Pair:
    """(height, width) from NIR's scalar, array or tuple."""
    values = np.broadcast_to(np.asarray(value, dtype=np.int64).reshape(-1), (2,))
    return int(values[0]), int(values[1])


@dataclass(frozen=True)
class Window:
    """kernel, stride, padding (which counts as zero) and dilation, each as (height, width)."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Window:
        """From NIR's parameters, in which padding may be the word "same" or "valid". Raises GraphError."""
        kernel, stride, dilation = pair(kernel), pair(stride), pair(dilation)
        if not isinstance(padding, (str, bytes)):
            return cls(kernel, stride, pair(padding), dilation)
        word = padding.decode() if isinstance(padding, bytes) else padding
        if word == "valid":
            return cls(kernel, stride, (0, 0), dilation)
        if word != "same":
            raise GraphError(f"padding is '{word}'; it must be 'same', 'valid' or integers")
        spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(span % 2 for span in spans) or stride != (1, 1):
            raise GraphError("padding 'same' needs an odd kernel and stride 1; give the padding as integers")
        return cls(kernel, stride, (spans[0] // 2, spans[1] // 2), dilation)

    def output_size(self, size: Shape) -> Pair:
        """Rows and columns of what a map of this (height, width) gives; below 1 where the kernel is larger."""
        rows, columns = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(size, self.padding, self.dilation, self.kernel, self.stride, strict=True)
        )
        return rows, columns

    def taps(self, x: np.ndarray) -> Iterator[tuple[Pair, np.ndarray]]:
        """For every position in the kernel what each window sees there: x [N, C, H, W] -> views [N, C, H', W']."""
        rows, columns = self.output_size(x.shape[2:])
        padded = np.pad(x, ((0, 0), (0, 0), (self.padding[0],) * 2, (self.padding[1],) * 2))
        for i, j in np.ndindex(*self.kernel):
            shifted = padded[:, :, i * self.dilation[0] :: self.stride[0], j * self.dilation[1] :: self.stride[1]]
            yield (i, j), shifted[:, :, :rows, :columns]

    def spread(self, shape: Shape, tap: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """The transpose of `taps`: what each position of a map [C, H, W] gets from all windows that see it.

        tap: (i, j) -> [C, H', W'], what the windows give back at that position in the kernel.
        """
        channels, height, width = shape
        rows, columns = self.output_size((height, width))
        padded = np.zeros((channels, height + 2 * self.padding[0], width + 2 * self.padding[1]))
        for i, j in np.ndindex(*self.kernel):
            top, left = i * self.dilation[0], j * self.dilation[1]
            down = slice(top, top + self.stride[0] * (rows - 1) + 1, self.stride[0])
            across = slice(left, left + self.stride[1] * (columns - 1) + 1, self.stride[1])
            padded[:, down, across] += tap(i, j)
        return padded[:, self.padding[0] : self.padding[0] + height, self.padding[1] : self.padding[1] + width]


def convolve(x: np.ndarray, weight: np.ndarray, window: Window, groups: int) -> np.ndarray:
    """Cross-correlation as in PyTorch: one matrix product for every position in the kernel.

    x: [N, C_in, H, W]; weight: [C_out, C_in / groups, height, width]. Returns [N, C_out, H', W'].
    """
    outputs = len(weight)
    count, channels = x.shape[:2]
    rows, columns = window.output_size(x.shape[2:])
    result = np.zeros((count, groups, outputs // groups, rows * columns))
    kernels = weight.astype(np.float64).reshape(groups, outputs // groups, channels // groups, *window.kernel)
    for (i, j), seen in window.taps(x):
        result += kernels[..., i, j] @ seen.reshape(count, groups, channels // groups, rows * columns)
    return result.reshape(count, outputs, rows, columns)


def convolve_transposed(
    gradient: np.ndarray, weight: np.ndarray, window: Window, groups: int, shape: Shape
) -> np.ndarray:
    """The transpose of `convolve` applied to [C_out, H', W']; shape: that of its input, [C_in, H, W]."""
    kernels = weight.reshape(groups, -1, *weight.shape[1:]).astype(np.float64)
    split = gradient.reshape(groups, -1, *gradient.shape[1:])

    def tap(i: int, j: int) -> np.ndarray:
        return np.einsum("goc,gohw->gchw", kernels[..., i, j], split).reshape(shape[0], *gradient.shape[1:])

    return window.spread(shape, tap)


def sum_windows(x: np.ndarray, window: Window) -> np.ndarray:
    """Sum over each window of [N, C, H, W], first along the height, then along the width."""
    for axis in (0, 1):

        def along(values: Pair, neutral: int, axis: int = axis) -> Pair:
            return (values[0], neutral) if axis == 0 else (neutral, values[1])

        strip = Window(along(window.kernel, 1), along(window.stride, 1), along(window.padding, 0))
        total = np.zeros((*x.shape[:2], *strip.output_size(x.shape[2:])), x.dtype)
        for _, seen in strip.taps(x):
            total += seen
        x = total
    return x
