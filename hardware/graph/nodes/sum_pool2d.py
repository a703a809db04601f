"""SumPool2d: the sum over each window."""

from __future__ import annotations

import nir

from ..synapse import WindowSum
from ..windows import Shape
from .pool2d import Pool2dKind


class SumPool2dKind(Pool2dKind):
    """Sums of integers are integers."""

    node_type = nir.SumPool2d

    def synapse(self, name: str, node: nir.SumPool2d, in_shape: Shape, out_shape: Shape) -> WindowSum:
        """A sum over windows."""
        return WindowSum(self.window(node), in_shape, out_shape)


KIND = SumPool2dKind()
