"""Conv2d: y = W * x + b, cross-correlation as in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ...errors import GraphError
from ..synapse import Convolution
from ..windows import Shape, Window, convolve, convolve_transposed
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

    def synapse(self, name: str, node: nir.Conv2d, in_shape: Shape, out_shape: Shape) -> Convolution:
        """A convolution."""
        return Convolution(np.asarray(node.weight), self.window(node), int(node.groups), in_shape, out_shape)


KIND = Conv2dKind()
