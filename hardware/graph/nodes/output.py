"""Output: sums that are read at every time step."""

from __future__ import annotations

import nir

from ..windows import Shape
from .kind import Port


class OutputKind(Port):
    """Shows the sum of what arrives."""

    node_type = nir.Output

    def output_shape(self, name: str, node: nir.Output, source: str, shape: Shape) -> Shape:
        """The shape of what arrives."""
        return shape


KIND = OutputKind()
