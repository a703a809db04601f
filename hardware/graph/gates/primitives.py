"""The gate primitives: Boolean logic on spikes with NIR's Threshold, Conv2d and SumPool2d alone.

Each function adds its nodes and edges to a graph under construction; several sources on one node are summed.
A Threshold fires iff its sum is greater (strict) than a half-integer, so no comparison can be close.

    OR  of n spikes    sum > 0.5
    AND of n spikes    sum > n - 0.5      additive masking: Q-K attention is AND(attention, key)
    digit e of a sum   sum - larger digits > 2^e - 0.5
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import nir
import numpy as np

MARK = "computes"  # the field of a nested graph's metadata that names the operation that it computes

Shape = tuple[int, ...]

LARGEST_POWER = 13  # a weight's mantissa has 7 bits and a sign, its exponent goes to 7: 2^14 does not fit any more


@dataclass
class GraphBuilder:
    """Nodes and edges of a NIR graph under construction."""

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    built: dict[tuple[Hashable, ...], nir.NIRGraph] = field(default_factory=dict)

    def nested(self, build: Callable[..., nir.NIRGraph], *arguments: Hashable) -> nir.NIRGraph:
        """A nested graph; equal ones share their arrays."""
        key = (build, *arguments)
        if key not in self.built:
            self.built[key] = build(*arguments)
        return self.built[key]

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Add a node that reads the sum of its sources; returns its name."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name


def threshold_gate(graph: GraphBuilder, name: str, shape: Shape, minimum: int, *sources: str) -> str:
    """1 where the sum of the sources is at least `minimum`: OR for 1, AND for the number of sources."""
    return graph.add(name, nir.Threshold(everywhere(minimum - 0.5, shape)), *sources)


def everywhere(value: float, shape: Shape) -> np.ndarray:
    """A constant array that takes no memory; gate graphs hold millions of equal parameters."""
    return np.broadcast_to(np.float32(value), shape)


def weighted(graph: GraphBuilder, name: str, shape: Shape, exponent: int, sign: int, source: str) -> list[str]:
    """Nodes whose sum is sign * 2^exponent times the source: one Scale, or several where a weight cannot hold it."""
    power = min(exponent, LARGEST_POWER)
    return [
        graph.add(f"{name}.{part}" if part else name, nir.Scale(everywhere(sign * 2.0**power, shape)), source)
        for part in range(2 ** (exponent - power))
    ]


def bit_planes(graph: GraphBuilder, name: str, shape: Shape, bits: int, *sources: str) -> list[tuple[int, str]]:
    """The binary digits of max(0, sum of the sources), which must be below 2^bits: (exponent, gate), largest first.

    Digit e is 1 iff what the larger digits leave is at least 2^e. A negative sum has no digit set.
    """
    digits: list[tuple[int, str]] = []
    taken: list[str] = []
    for exponent in reversed(range(bits)):
        digit = threshold_gate(graph, f"{name}.bit{exponent}", shape, 2**exponent, *sources, *taken)
        digits.append((exponent, digit))
        if exponent:
            taken += weighted(graph, f"{name}.less{exponent}", shape, exponent, -1, digit)
    return digits


def one_by_one(weight: np.ndarray, size: Shape) -> nir.Conv2d:
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
    return graph.add(name, window_sum([2 * n - 1 for n in shape[1:]], [1, 1], [n - 1 for n in shape[1:]]), *sources)


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
