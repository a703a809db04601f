"""Input: where the images enter."""

from __future__ import annotations

import nir
import numpy as np

from ..windows import Shape
from .kind import Port


class InputKind(Port):
    """Gives what the network is fed, [C, H, W] or [features]."""

    node_type = nir.Input

    def output_shape(self, name: str, node: nir.Input, source: str, shape: Shape) -> Shape:
        """The shape that the node declares."""
        return tuple(int(n) for n in np.asarray(node.input_type["input"]).reshape(-1))


KIND = InputKind()
