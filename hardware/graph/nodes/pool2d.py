"""What SumPool2d and AvgPool2d share: a sum over each window, channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..windows import Shape, Window, sum_windows
from .kind import Interval, Memoryless, expect_map, expect_room


class Pool2dKind(Memoryless):
    """kernel_size, stride, padding, which counts as zero: [C, H, W] -> [C, H', W']."""

    def window(self, node: Any) -> Window:
        """The geometry of the pool."""
        return Window.of(node.kernel_size, node.stride, node.padding)

    def share(self, node: Any) -> float:
        """What one value in a window adds to its output."""
        return 1.0

    def output_shape(self, name: str, node: Any, source: str, shape: Shape) -> Shape:
        """As many channels, of the size that the window gives."""
        expect_map(name, source, shape)
        window = self.window(node)
        size = window.output_size(shape[1:])
        expect_room(name, window.kernel, shape, size)
        return (shape[0], *size)

    def apply(self, node: Any, x: np.ndarray) -> np.ndarray:
        """The sum over each window, or the mean."""
        return sum_windows(x, self.window(node)) * self.share(node)

    def transpose(self, node: Any, gradient: np.ndarray, shape: Shape) -> np.ndarray:
        """Each value gives its share to all that the window saw."""
        given = gradient * self.share(node)
        return self.window(node).spread(shape, lambda i, j: given)

    def bounds(self, node: Any, low: float, high: float) -> Interval:
        """A window full of the largest input."""
        most = float(np.prod(self.window(node).kernel)) * self.share(node)
        return low * most, high * most
