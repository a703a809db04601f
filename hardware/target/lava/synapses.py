"""The synapses of a section: what each adds to its target, computed as fast as NumPy can.

Each is equal to linear.apply_linear (tests/hardware/lava/test_synapses.py). Values are whole numbers in float32
wherever no sum of theirs can reach 2^24, else in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np

from ...graph.bounds import Interval, synapse_bounds
from ...graph.fused import Fused
from ...graph.linear import apply_linear
from ...graph.shapes import conv_geometry, pair

EXACT_IN_FLOAT32 = 1 << 24

Synapse = Callable[[np.ndarray, np.ndarray], None]
"""Called with values [C, H, W] (or [features]) and the array to write the sums into."""


def make_synapse(
    node: nir.NIRNode | Fused,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    values: Interval,
    unit: int,
) -> tuple[Synapse, np.dtype]:
    """The synapse of a linear or fused node, and the type of its sums.

    values: least and largest value that arrives. unit: what the sums are multiplied by (64 for a membrane).
    """
    low, high = synapse_bounds(node, values)
    magnitude = max(abs(value) for value in (*values, low, high, high - low)) * unit
    dtype = np.dtype(np.float32 if magnitude < EXACT_IN_FLOAT32 else np.float64)
    if isinstance(node, (nir.Linear, nir.Affine)):
        return _matrix((node.weight * unit).astype(dtype)), dtype
    if isinstance(node, nir.Conv2d) and int(node.groups) == 1:
        return _convolution(node, in_shape, out_shape, unit, dtype), dtype
    if isinstance(node, nir.SumPool2d) and _sees_everything(node, in_shape, out_shape):

        def total(x: np.ndarray, out: np.ndarray) -> None:
            out[...] = x.sum((1, 2), dtype=dtype, keepdims=True) * unit

        return total, dtype

    def general(x: np.ndarray, out: np.ndarray) -> None:
        out[...] = apply_linear(node, x[None].astype(dtype))[0] * unit

    return general, dtype


def _sees_everything(node: nir.SumPool2d, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> bool:
    """Whether every window covers the whole map (masking.token_sum)."""
    geometry = zip(
        pair(node.kernel_size), pair(node.stride), pair(node.padding), in_shape[1:], out_shape[1:], strict=True
    )
    return all(s * (m - 1) <= p and k - p >= n for k, s, p, n, m in geometry)


def _matrix(weight: np.ndarray) -> Synapse:
    def product(x: np.ndarray, out: np.ndarray) -> None:
        np.matmul(
            weight, x.astype(weight.dtype, copy=False).reshape(weight.shape[1], -1), out=out.reshape(len(out), -1)
        )

    return product


def _convolution(
    node: nir.Conv2d, in_shape: tuple[int, ...], out_shape: tuple[int, ...], unit: int, dtype: np.dtype
) -> Synapse:
    """One matrix product with a matrix of all windows (im2col); a 1x1 convolution needs no such matrix."""
    stride, padding, dilation = conv_geometry(node)
    outputs, channels, *kernel = node.weight.shape
    product = _matrix((node.weight.reshape(outputs, -1) * unit).astype(dtype))
    if (tuple(kernel), stride, padding) == ((1, 1), (1, 1), (0, 0)):
        return product
    rows, columns = out_shape[1:]
    padded = np.zeros((channels, *(n + 2 * p for n, p in zip(in_shape[1:], padding, strict=True))), dtype)
    inside = padded[:, padding[0] : padding[0] + in_shape[1], padding[1] : padding[1] + in_shape[2]]
    windows = np.empty((channels, *kernel, rows, columns), dtype)

    def convolve(x: np.ndarray, out: np.ndarray) -> None:
        inside[...] = x
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                shifted = padded[:, i * dilation[0] :: stride[0], j * dilation[1] :: stride[1]]
                windows[:, i, j] = shifted[:, :rows, :columns]
        product(windows.reshape(-1, rows * columns), out)

    return convolve
