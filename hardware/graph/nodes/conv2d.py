"""Conv2d: y = W * x + b, cross-correlation as in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ...errors import GraphError
from ..synapse import Convolution, WindowSum
from ..windows import Shape, Window, convolve, convolve_transposed, pair, sum_windows
from .dense import expect_bias, product_bounds
from .kind import Interval, Memoryless, expect, expect_map, expect_room


class Conv2dKind(Memoryless):
    """weight [C_out, C_in / groups, height, width], bias [C_out]: [C_in, H, W] -> [C_out, H', W']."""

    node_type = nir.Conv2d

    def window(self, node: nir.Conv2d) -> Window:
        """The geometry of the kernel."""
        return Window.of(node.weight.shape[2:], node.stride, node.padding, node.dilation)

    def output_shape(self, name: str, node: nir.Conv2d, source: str, shape: Shape) -> Shape:
        """C_out maps of the size that the window gives."""
        expect_bias(name, node)
        expect_map(name, source, shape)
        if len(node.weight) % int(node.groups):
            raise GraphError(f"node '{name}' has {len(node.weight)} outputs, which {node.groups} groups do not divide")
        expect(name, source, shape, (node.weight.shape[1] * int(node.groups), *shape[1:]))
        try:
            size = self.window(node).output_size(shape[1:])
        except GraphError as error:
            raise GraphError(f"node '{name}': {error}") from error
        expect_room(name, node.weight.shape[2:], shape, size)
        return (node.weight.shape[0], *size)

    def parameters(self, node: nir.Conv2d) -> Mapping[str, np.ndarray]:
        """weight and bias."""
        return {"weight": np.asarray(node.weight), "bias": np.asarray(node.bias)}

    def apply(self, node: nir.Conv2d, x: np.ndarray) -> np.ndarray:
        """W * x."""
        if (window := summed_window(node)) is not None:
            return sum_windows(x, window)
        return convolve(x, node.weight, self.window(node), int(node.groups))

    def bias(self, node: nir.Conv2d) -> np.ndarray:
        """One a channel, [C_out, 1, 1]."""
        return np.asarray(node.bias, dtype=np.float64).reshape(-1, 1, 1)

    def transpose(self, node: nir.Conv2d, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """The transposed convolution."""
        return convolve_transposed(gradient, node.weight, self.window(node), int(node.groups), shape)

    def bounds(self, node: nir.Conv2d, low: float, high: float) -> Interval:
        """Every weight meets the input that takes the sum furthest."""
        return product_bounds(node.weight, low, high)

    def synapse(self, name: str, node: nir.Conv2d, in_shape: Shape, out_shape: Shape) -> Convolution | WindowSum:
        """A convolution, or what is one in the words of other tools only: a sum over windows."""
        if (window := summed_window(node)) is not None:
            return WindowSum(window, in_shape, out_shape)
        return Convolution(np.asarray(node.weight), self.window(node), int(node.groups), in_shape, out_shape)


def summed_window(node: nir.Conv2d) -> Window | None:
    """The window over which each channel of the output sums the same channel of the input, as a SumPool2d does.

    None for any other weights. The window may be smaller than the kernel, where the rest are zeros on both ends.
    """
    weight = np.asarray(node.weight)
    channels, inputs, *kernel = weight.shape
    if channels != inputs or int(node.groups) != 1 or np.any(np.asarray(node.dilation) != 1) or max(kernel) == 1:
        return None
    first = weight[0, 0]
    rows, columns = (np.flatnonzero(first.any(axis)) for axis in (1, 0))
    if not len(rows) or isinstance(node.padding, (str, bytes)):
        return None
    inner = weight[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = inner.shape[2:]
    own = np.arange(channels)
    if not (inner[own, own] == 1).all() or np.count_nonzero(weight) != channels * size[0] * size[1]:
        return None
    ends = [(n - k) // 2 for n, k in zip(kernel, size, strict=True)]
    padding = [p - end for p, end in zip(pair(node.padding), ends, strict=True)]
    if [rows[0], columns[0]] != ends or min(padding) < 0 or any((n - k) % 2 for n, k in zip(kernel, size, strict=True)):
        return None
    return Window(size, pair(node.stride), (padding[0], padding[1]))


KIND = Conv2dKind()
