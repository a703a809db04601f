"""Populations without a membrane: spikes by AND and OR alone. Float models and fixed networks share them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .neuron import Population

Size = tuple[int, int]


class Mask(Population):
    """Q-K masking: a key passes where the attention spike of its group of channels is 1 (AND).

    The attention is broadcast, never expanded: nothing of the size of the keys is made besides the result.
    """

    def forward(self, attention: Tensor, keys: Tensor) -> Tensor:
        """attention x keys, spikes [T, B, C, H, W].

        Args:
            attention: spikes [T, B, G, H, W] or [T, B, G, 1, 1], one for each of G groups of C / G channels.
            keys: spikes [T, B, C, H, W].
        """
        grouped = keys.unflatten(2, (attention.shape[2], -1))
        return (grouped * attention.unsqueeze(3)).flatten(2, 3)


class SpikePool(Population):
    """Max-pool of spikes, the OR of each window; kernel, stride and padding as (height, width)."""

    def __init__(self, kernel: Size, stride: Size, padding: Size) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] -> [T, B, C, H', W'], 1 where any spike of the window is."""
        pooled = F.max_pool2d(spikes.flatten(0, 1), self.kernel, self.stride, self.padding)
        return pooled.unflatten(0, spikes.shape[:2])
