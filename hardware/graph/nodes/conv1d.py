"""Conv1d: y = W * x + b along a sequence, cross-correlation as in PyTorch: a Conv2d of maps that are one row high."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ...errors import GraphError
from ..synapse import Convolution
from ..windows import Shape, Window, convolve, convolve_transposed
from .dense import expect_bias, product_bounds
from .kind import Interval, Memoryless, expect, expect_room


class Conv1dKind(Memoryless):
    """weight [C_out, C_in / groups, length], bias [C_out]: [C_in, L] -> [C_out, L']."""

    node_type = nir.Conv1d

    def window(self, node: nir.Conv1d) -> Window:
        """The geometry of the kernel on a row."""
        named = isinstance(node.padding, (str, bytes))
        padding = node.padding if named else (0, _one(node.padding))
        return Window.of((1, node.weight.shape[2]), (1, _one(node.stride)), padding, (1, _one(node.dilation)))

    def output_shape(self, name: str, node: nir.Conv1d, source: str, shape: Shape) -> Shape:
        """C_out sequences of the length that the window gives."""
        expect_bias(name, node)
        groups = _one(node.groups)
        if len(shape) != 2:
            raise GraphError(f"node '{name}' needs an input [channels, length], but '{source}' gives {shape}")
        if len(node.weight) % groups:
            raise GraphError(f"node '{name}' has {len(node.weight)} outputs, which {groups} groups do not divide")
        expect(name, source, shape, (node.weight.shape[1] * groups, shape[1]))
        try:
            size = self.window(node).output_size((1, shape[1]))
        except GraphError as error:
            raise GraphError(f"node '{name}': {error}") from error
        expect_room(name, node.weight.shape[2:], shape, size)
        return (node.weight.shape[0], size[1])

    def parameters(self, node: nir.Conv1d) -> Mapping[str, np.ndarray]:
        """weight and bias."""
        return {"weight": np.asarray(node.weight), "bias": np.asarray(node.bias)}

    def apply(self, node: nir.Conv1d, x: np.ndarray) -> np.ndarray:
        """W * x."""
        return convolve(x[:, :, None], _row(node), self.window(node), _one(node.groups))[:, :, 0]

    def bias(self, node: nir.Conv1d) -> np.ndarray:
        """One a channel, [C_out, 1]."""
        return np.asarray(node.bias, dtype=np.float64).reshape(-1, 1)

    def transpose(self, node: nir.Conv1d, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """The transposed convolution."""
        map_shape = (shape[0], 1, shape[1])
        back = convolve_transposed(gradient[:, None], _row(node), self.window(node), _one(node.groups), map_shape)
        return back[:, 0]

    def bounds(self, node: nir.Conv1d, low: float, high: float) -> Interval:
        """Every weight meets the input that takes the sum furthest."""
        return product_bounds(node.weight, low, high)

    def synapse(self, name: str, node: nir.Conv1d, in_shape: Shape, out_shape: Shape) -> Convolution:
        """A convolution of maps [C, 1, L]."""
        shapes = ((shape[0], 1, shape[1]) for shape in (in_shape, out_shape))
        return Convolution(_row(node), self.window(node), _one(node.groups), *shapes)


def _one(value: int | np.ndarray) -> int:
    return int(np.asarray(value).reshape(-1)[0])


def _row(node: nir.Conv1d) -> np.ndarray:
    """The weight as that of a Conv2d."""
    row: np.ndarray = np.asarray(node.weight)[:, :, None]
    return row


KIND = Conv1dKind()
