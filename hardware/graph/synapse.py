"""The few forms of synapse that a target must know, whatever node of NIR they came from.

A node kind says which form its nodes take (`Memoryless.synapse`); a target makes of each form what it has for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .operations.operation import Operation
from .windows import Shape, Window


@dataclass(frozen=True)
class Convolution:
    """weight [C_out, C_in / groups, height, width] over a map: in_shape [C, H, W] -> out_shape [C', H', W'].

    A dense layer is a 1x1 convolution of a map that is a single position.
    """

    weight: np.ndarray
    window: Window
    groups: int
    in_shape: Shape
    out_shape: Shape

    @property
    def products(self) -> int:
        """Multiplications for one input."""
        return int(np.prod(self.out_shape)) * self.weight[0].size


@dataclass(frozen=True)
class WindowSum:
    """The sum over each window, channel by channel: in_shape [C, H, W] -> out_shape [C, H', W']."""

    window: Window
    in_shape: Shape
    out_shape: Shape

    @property
    def products(self) -> int:
        """Additions for one input; a window that slides by one reuses its sums."""
        return int(np.prod(self.out_shape))

    @property
    def sees_everything(self) -> bool:
        """Whether every window covers the whole map, so that all sums of a channel are the same."""
        return all(
            s * (m - 1) <= p and k - p >= n
            for k, s, p, n, m in zip(
                self.window.kernel,
                self.window.stride,
                self.window.padding,
                self.in_shape[1:],
                self.out_shape[1:],
                strict=True,
            )
        )


@dataclass(frozen=True)
class Elementwise:
    """One weight a value: scale in the shape of both sides."""

    scale: np.ndarray

    @property
    def products(self) -> int:
        """Multiplications for one input."""
        return self.scale.size


Synapse = Convolution | WindowSum | Elementwise | Operation
