"""Flatten: the same values in a row."""

from __future__ import annotations

import math
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
        for field in ("start_dim", "end_dim"):
            if not -len(shape) <= int(getattr(node, field)) < len(shape):
                raise GraphError(
                    f"node '{name}': {field} is {getattr(node, field)}, but '{source}' gives {len(shape)} dimensions"
                )
        start, end = self._joined(node, len(shape))
        if start > end:
            raise GraphError(f"node '{name}': start_dim is {node.start_dim}, behind end_dim, {node.end_dim}")
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def apply(self, node: nir.Flatten, x: np.ndarray) -> np.ndarray:
        """x in another shape."""
        start, end = self._joined(node, x.ndim - 1)  # NIR does not count the batch
        return x.reshape(*x.shape[: start + 1], -1, *x.shape[end + 2 :])

    def _joined(self, node: nir.Flatten, dimensions: int) -> tuple[int, int]:
        """The first and the last of the dimensions that become one."""
        return int(node.start_dim) % dimensions, int(node.end_dim) % dimensions

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
