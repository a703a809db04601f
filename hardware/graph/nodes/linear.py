"""Linear: y = W x."""

import nir

from .dense import DenseKind


class LinearKind(DenseKind):
    """A matrix without a bias."""

    node_type = nir.Linear


KIND = LinearKind()
