"""What layers of weights share, Linear and Affine above all: y = W x + b."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import GraphError
from ..synapse import Convolution
from ..windows import Shape, Window
from .kind import Interval, Memoryless, expect


class DenseKind(Memoryless):
    """weight [outputs, inputs]: [inputs] -> [outputs]."""

    def output_shape(self, name: str, node: Any, source: str, shape: Shape) -> Shape:
        """One value for each row of the weight."""
        expect_bias(name, node)
        expect(name, source, shape, (node.weight.shape[1],))
        return (node.weight.shape[0],)

    def parameters(self, node: Any) -> Mapping[str, np.ndarray]:
        """weight."""
        return {"weight": np.asarray(node.weight)}

    def apply(self, node: Any, x: np.ndarray) -> np.ndarray:
        """W x."""
        return x @ node.weight.T.astype(np.float64)

    def transpose(self, node: Any, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """The transposed matrix."""
        return gradient @ node.weight.astype(np.float64)

    def bounds(self, node: Any, low: float, high: float) -> Interval:
        """Every weight meets the input that takes the sum furthest."""
        return product_bounds(node.weight, low, high)

    def synapse(self, name: str, node: Any, in_shape: Shape, out_shape: Shape) -> Convolution:
        """A 1x1 convolution of a map that is a single position."""
        weight = np.asarray(node.weight)[:, :, None, None]
        return Convolution(weight, Window((1, 1)), 1, (*in_shape, 1, 1), (*out_shape, 1, 1))


def expect_bias(name: str, node: Any) -> None:
    """Raise GraphError unless there is one bias for each output, or none."""
    bias = getattr(node, "bias", None)
    if bias is not None and np.shape(bias) != node.weight.shape[:1]:
        outputs = len(node.weight)
        raise GraphError(f"node '{name}' has a bias of shape {np.shape(bias)}; its weight needs ({outputs},)")


def product_bounds(weight: np.ndarray, low: float, high: float) -> Interval:
    """Least and largest W x over all outputs, for every x within low <= 0 <= high."""
    weights = weight.reshape(len(weight), -1)
    positive = weights.clip(min=0).sum(1, dtype=np.float64)
    negative = weights.clip(max=0).sum(1, dtype=np.float64)
    return float((positive * low + negative * high).min()), float((positive * high + negative * low).max())
