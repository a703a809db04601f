"""The gate primitives: Boolean logic on spikes with NIR's Threshold, Conv2d and SumPool2d alone.

Each function adds its nodes and edges to a graph under construction; several sources on one node are summed.
A Threshold fires iff its sum is greater (strict) than a half-integer, so no comparison can be close.

    OR  of n spikes    sum > 0.5
    AND of n spikes    sum > n - 0.5      additive masking: Q-K attention is AND(attention, key)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import nir
import numpy as np

Shape = tuple[int, ...]


@dataclass
class GraphBuilder:
    """Nodes and edges of a NIR graph under construction."""

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Add a node that reads the sum of its sources; returns its name."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name


def threshold_gate(graph: GraphBuilder, name: str, shape: Shape, minimum: int, *sources: str) -> str:
    """1 where the sum of the sources is at least `minimum`: OR for 1, AND for the number of sources."""
    return graph.add(name, nir.Threshold(np.full(shape, minimum - 0.5, np.float32)), *sources)


def one_by_one(weight: np.ndarray, size: tuple[int, int]) -> nir.Conv2d:
    """A 1x1 Conv2d with weight [C_out, C_in] and no bias. Dense: NIR 1.0.8 infers grouped inputs wrongly."""
    weight = np.asarray(weight, np.float32)[:, :, None, None]
    return nir.Conv2d(size, weight, (1, 1), (0, 0), (1, 1), 1, np.zeros(len(weight), np.float32))


def group_sum(graph: GraphBuilder, name: str, shape: Shape, groups: int, *sources: str) -> str:
    """Sum over the channels of each group: [C, H, W] (shape) -> [groups, H, W]."""
    channels, *size = shape
    return graph.add(name, one_by_one(_membership(channels, groups), tuple(size)), *sources)


def group_broadcast(graph: GraphBuilder, name: str, shape: Shape, groups: int, *sources: str) -> str:
    """Each group's value at all its channels: [groups, H, W] -> [C, H, W] (shape)."""
    channels, *size = shape
    return graph.add(name, one_by_one(_membership(channels, groups).T, tuple(size)), *sources)


def token_sum(graph: GraphBuilder, name: str, shape: Shape, *sources: str) -> str:
    """Sum over all tokens, at every token: a window so large that it always sees the whole of [C, H, W].

    NIR has no broadcast; kernel 2H - 1 with padding H - 1 and stride 1 needs none.
    """
    return graph.add(
        name, window_sum([2 * n - 1 for n in shape[1:]], [1, 1], [n - 1 for n in shape[1:]]), *sources
    )


def window_sum(kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> nir.SumPool2d:
    """A SumPool2d."""
    return nir.SumPool2d(np.array(kernel), np.array(stride), np.array(padding))


def mask(graph: GraphBuilder, name: str, shape: Shape, groups: int, attention: str, keys: str) -> str:
    """AND of keys [C, H, W] (shape) with the attention spike [groups, H, W] of their group."""
    if groups != shape[0]:
        attention = group_broadcast(graph, f"{name}.broadcast", shape, groups, attention)
    return threshold_gate(graph, name, shape, 2, attention, keys)


def spike_pool(
    graph: GraphBuilder,
    name: str,
    shape: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    *sources: str,
) -> str:
    """Max-pool of spikes, the OR of each window; `shape` is that of the result."""
    total = graph.add(f"{name}.sum", window_sum(kernel, stride, padding), *sources)
    return threshold_gate(graph, name, shape, 1, total)


def _membership(channels: int, groups: int) -> np.ndarray:
    """[groups, channels]: 1 where the channel belongs to the group."""
    return np.repeat(np.eye(groups), channels // groups, axis=1)
