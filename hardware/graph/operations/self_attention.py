"""Spiking self-attention as one operation: scale * Q K^T V over the tokens of each head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ...errors import GraphError, RangeError
from ..gates.self_attention import OPERATION as NAME
from ..gates.self_attention import gate_count, self_attention_graph
from .operation import Operation, integer

MOST_HEADS = 65_536
LARGEST_SCALE = 1 << 12
RATES = (0.0, 1.0, 0.5, 0.2, 0.8)  # of spikes in the samples, for queries, keys and values


@dataclass(frozen=True)
class SelfAttentionOperation(Operation):
    """scale * Q K^T V over the tokens of each head; Q, K and V are spikes, stacked along the channels.

    [N, 3C, H, W] -> [N, C, H, W], with head h in channels h C / heads .. (h + 1) C / heads.
    """

    name = NAME

    heads: int
    scale: int

    @classmethod
    def from_metadata(
        cls, input_shape: tuple[int, ...], output_shape: tuple[int, ...], values: Mapping[str, Any]
    ) -> SelfAttentionOperation:
        """heads and scale from metadata."""
        heads, scale = integer(values, "heads", MOST_HEADS), integer(values, "scale", LARGEST_SCALE)
        channels, *size = output_shape
        if tuple(input_shape) != (3 * channels, *size) or len(size) != 2:
            raise ValueError(f"its shapes {input_shape} and {output_shape} are not [3C, H, W] and [C, H, W]")
        if heads < 1 or channels % heads or scale < 1 or scale & (scale - 1):
            raise ValueError(f"heads {heads} must divide {channels} channels, and scale {scale} be a power of two")
        return cls(input_shape, output_shape, heads, scale)

    def gates(self) -> nir.NIRGraph:
        """AND gates for every pair of channels, sums over the tokens, and their digits masked by the query."""
        return self_attention_graph(self.output_shape, self.heads, self.scale)

    def check_inputs(self, name: str, x: np.ndarray) -> None:
        """Spikes are 0 or 1."""
        if x.size and not ((x == 0) | (x == 1)).all():
            worst = x[(x != 0) & (x != 1)].reshape(-1)[0]
            raise RangeError(f"{name}: self-attention reads {worst:g}; it needs spikes, 0 or 1")

    def apply(self, x: np.ndarray) -> np.ndarray:
        """K^T V first: its size does not grow with the tokens."""
        count, _, height, width = x.shape
        query, key, value = x.reshape(count, 3, self.heads, -1, height * width).swapaxes(0, 1)
        mixed = (value @ key.swapaxes(-1, -2)) @ query
        return mixed.reshape(count, -1, height, width) * x.dtype.type(self.scale)

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Every token and every channel of a head may meet."""
        channels, height, width = self.output_shape
        return 0.0, float(self.scale * height * width * (channels // self.heads))

    def at_rest(self, constant: np.ndarray) -> np.ndarray:
        """Spikes have no bias."""
        if np.any(constant):
            raise GraphError("self-attention reads a bias; it needs spikes")
        return np.zeros(self.output_shape)

    def samples(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Spikes of every combination of rates, silent and full ones among them."""
        channels, height, width = self.output_shape
        rates = [[RATES[(n // len(RATES) ** part) % len(RATES)] for part in range(3)] for n in range(count)]
        drawn = random.random((count, 3, channels, height, width))
        spikes = drawn < np.array(rates)[:, :, None, None, None]
        return spikes.reshape(count, *self.input_shape).astype(np.float64)

    @property
    def largest(self) -> int:
        """K^T V of every head."""
        channels = self.output_shape[0]
        return max(super().largest, channels * (channels // self.heads))

    @property
    def gate_count(self) -> int:
        """Of all pairs, counts and masks."""
        return gate_count(self.output_shape, self.heads)

    @property
    def products(self) -> int:
        """Of two matrix products for each head."""
        channels, height, width = self.output_shape
        return 2 * channels * (channels // self.heads) * height * width


OPERATION = SelfAttentionOperation
