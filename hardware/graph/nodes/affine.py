"""Affine: y = W x + b."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from .dense import DenseKind


class AffineKind(DenseKind):
    """A matrix and a bias [outputs]."""

    node_type = nir.Affine

    def parameters(self, node: nir.Affine) -> Mapping[str, np.ndarray]:
        """weight and bias."""
        return {"weight": np.asarray(node.weight), "bias": np.asarray(node.bias)}

    def bias(self, node: nir.Affine) -> np.ndarray:
        """One an output."""
        return np.asarray(node.bias, dtype=np.float64)


KIND = AffineKind()
