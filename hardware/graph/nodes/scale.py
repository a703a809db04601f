"""Scale: y = s x, one factor a value."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ..synapse import Elementwise
from ..windows import Shape
from .kind import Interval, Memoryless, expect


class ScaleKind(Memoryless):
    """scale in the shape of what arrives."""

    node_type = nir.Scale

    def output_shape(self, name: str, node: nir.Scale, source: str, shape: Shape) -> Shape:
        """The shape of the scale."""
        expect(name, source, shape, tuple(node.scale.shape))
        return shape

    def parameters(self, node: nir.Scale) -> Mapping[str, np.ndarray]:
        """scale."""
        return {"scale": np.asarray(node.scale)}

    def apply(self, node: nir.Scale, x: np.ndarray) -> np.ndarray:
        """s x."""
        return x * node.scale.astype(np.float64)

    def transpose(self, node: nir.Scale, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """A diagonal is its own transpose."""
        return self.apply(node, gradient)

    def bounds(self, node: nir.Scale, low: float, high: float) -> Interval:
        """The extremes of both meet."""
        products = [float(end) * value for end in (node.scale.min(), node.scale.max()) for value in (low, high)]
        return min(products), max(products)

    def synapse(self, name: str, node: nir.Scale, in_shape: Shape, out_shape: Shape) -> Elementwise:
        """One weight a value."""
        return Elementwise(np.asarray(node.scale))


KIND = ScaleKind()
