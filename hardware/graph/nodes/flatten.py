"""Flatten: the same values in a row."""

from __future__ import annotations

from typing import NoReturn

import nir
import numpy as np

from ...errors import GraphError
from ..windows import Shape
from .kind import Interval, Memoryless


class FlattenKind(Memoryless):
    """Joins the dimensions start_dim .. end_dim, the batch not counted."""

    node_type = nir.Flatten
    is_reshape = True

    def output_shape(self, name: str, node: nir.Flatten, source: str, shape: Shape) -> Shape:
        """The joined dimensions are one."""
        start, end = int(node.start_dim), int(node.end_dim) % len(shape)
        return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])

    def apply(self, node: nir.Flatten, x: np.ndarray) -> np.ndarray:
        """x in another shape."""
        start = int(node.start_dim) + 1  # NIR does not count the batch
        end = int(node.end_dim) % (x.ndim - 1) + 1
        return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])

    def transpose(self, node: nir.Flatten, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """The old shape."""
        return gradient.reshape(shape)

    def bounds(self, node: nir.Flatten, low: float, high: float) -> Interval:
        """Nothing changes."""
        return low, high

    def synapse(self, name: str, node: nir.Flatten, in_shape: Shape, out_shape: Shape) -> NoReturn:
        """None is needed."""
        raise GraphError(f"node '{name}' is a Flatten, which is not a synapse")


KIND = FlattenKind()
