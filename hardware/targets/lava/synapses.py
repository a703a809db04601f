"""The synapses of a section: what each adds to its target, computed as fast as NumPy can.

Each is equal to `apply` of its node's kind (tests/hardware/targets/lava/test_synapses.py). Values are integers in
float32 wherever no sum of theirs can reach 2^24, else in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...graph.bounds import synapse_bounds
from ...graph.flat import FlatGraph
from ...graph.nodes import memoryless
from ...graph.nodes.kind import Interval
from ...graph.synapse import Convolution, Synapse, WindowSum

EXACT_IN_FLOAT32 = 1 << 24

SynapseStep = Callable[[np.ndarray, np.ndarray], None]
"""Called with values [C, H, W] (or [features]) and the array to write the sums into."""


def make_synapse(
    graph: FlatGraph, name: str, form: Synapse, values: Interval, unit: int
) -> tuple[SynapseStep, np.dtype]:
    """The synapse of a node without memory, which takes a form, and the type of its sums.

    values: least and largest value that arrives. unit: what the sums are multiplied by (64 for a membrane).
    """
    low, high = synapse_bounds(graph, name, values)
    magnitude = max(abs(value) for value in (*values, low, high, high - low)) * unit
    dtype = np.dtype(np.float32 if magnitude < EXACT_IN_FLOAT32 else np.float64)
    if isinstance(form, Convolution) and form.groups == 1:
        return _convolution(form, unit, dtype), dtype
    if isinstance(form, WindowSum) and form.sees_everything:

        def total(x: np.ndarray, out: np.ndarray) -> None:
            out[...] = x.sum((1, 2), dtype=dtype, keepdims=True) * unit

        return total, dtype
    node = graph.nodes[name]
    kind = memoryless(name, node)

    def general(x: np.ndarray, out: np.ndarray) -> None:
        given = x[None].astype(dtype)
        kind.check_inputs(name, node, given)
        out[...] = kind.apply(node, given)[0] * unit

    return general, dtype


def _matrix(weight: np.ndarray) -> SynapseStep:
    def product(x: np.ndarray, out: np.ndarray) -> None:
        np.matmul(
            weight, x.astype(weight.dtype, copy=False).reshape(weight.shape[1], -1), out=out.reshape(len(out), -1)
        )

    return product


def _convolution(form: Convolution, unit: int, dtype: np.dtype) -> SynapseStep:
    """One matrix product with a matrix of all windows (im2col); a 1x1 convolution needs no such matrix."""
    window, (channels, *size), (rows, columns) = form.window, form.in_shape, form.out_shape[1:]
    product = _matrix((form.weight.reshape(len(form.weight), -1) * unit).astype(dtype))
    if (window.kernel, window.stride, window.padding) == ((1, 1), (1, 1), (0, 0)):
        return product
    (top, left), (down, across) = window.padding, window.stride
    padded = np.zeros((channels, size[0] + 2 * top, size[1] + 2 * left), dtype)
    inside = padded[:, top : top + size[0], left : left + size[1]]
    windows = np.empty((channels, *window.kernel, rows, columns), dtype)

    def convolve(x: np.ndarray, out: np.ndarray) -> None:
        inside[...] = x.reshape(inside.shape)
        for i, j in np.ndindex(*window.kernel):
            shifted = padded[:, i * window.dilation[0] :: down, j * window.dilation[1] :: across]
            windows[:, i, j] = shifted[:, :rows, :columns]
        product(windows.reshape(-1, rows * columns), out)

    return convolve
