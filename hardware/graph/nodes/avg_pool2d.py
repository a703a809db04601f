"""AvgPool2d: the mean over each window; padding counts as zero."""

from __future__ import annotations

from typing import Any, NoReturn

import nir
import numpy as np

from ...errors import GraphError
from ..windows import Shape, sum_windows
from .pool2d import Pool2dKind


class AvgPool2dKind(Pool2dKind):
    """Means of integers are fractions, which the interpreter takes and no chip does."""

    node_type = nir.AvgPool2d

    def share(self, node: Any) -> float:
        """One part of the window."""
        height, width = self.window(node).kernel
        return 1.0 / (height * width)

    def apply(self, node: Any, x: np.ndarray) -> np.ndarray:
        """The sum divided by the window's size, rounded once."""
        window = self.window(node)
        return sum_windows(x, window) / float(np.prod(window.kernel))

    def synapse(self, name: str, node: Any, in_shape: Shape, out_shape: Shape) -> NoReturn:
        """None."""
        raise GraphError(f"node '{name}' is an AvgPool2d; Loihi adds integers, use a SumPool2d instead")


KIND = AvgPool2dKind()
