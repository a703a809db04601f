"""What a module of a model says itself to become: named nodes. `emit` tells them to a builder, which makes a network.

A new attention made of these nodes needs its own module only.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from .layer import Layer
from .logic import Mask
from .neuron import Neuron

Terms = tuple[str, ...]  # the nodes whose values are added; `a + b` is the sum of both


class NodeBuilder(Protocol):
    """Who is told the nodes of a model, in execution order. Names are module paths; each method gives what it added."""

    def layer(self, path: str, layer: Layer, x: Terms) -> Terms:
        """Convolution, BatchNorm, neuron and perhaps a max-pool, whose names are those of the layer below `path`."""
        ...

    def neuron(self, name: str, neuron: Neuron, x: Terms) -> Terms:
        """A neuron that reads integers, such as a sum of spikes."""
        ...

    def group_sum(self, name: str, groups: int, x: Terms) -> Terms:
        """Sum over the channels of each group: [T, B, C, H, W] -> [T, B, groups, H, W]."""
        ...

    def token_sum(self, name: str, x: Terms) -> Terms:
        """Sum over all tokens, given to every token: [T, B, C, H, W] -> [T, B, C, H, W]."""
        ...

    def mask(self, name: str, mask: Mask, attention: Terms, keys: Terms) -> Terms:
        """The keys that pass."""
        ...

    def self_attention(self, name: str, heads: int, scale: float, query: Terms, key: Terms, value: Terms) -> Terms:
        """scale * Q K^T V over the tokens of each head."""
        ...

    def head(self, name: str, head: nn.Linear, x: Terms) -> Terms:
        """The mean over tokens, and the linear layer, at each time step."""
        ...
