"""What a marked nested graph computes, as one operation.

Self-attention and max-pooling of currents are lowered to thousands of gates. The nested graph that holds them says
in its metadata what they compute, so that a target may do it at once. Nothing depends on the mark: without it the
gates are executed. tests/hardware/test_fused.py holds both equal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

MARK = "computes"


@dataclass(frozen=True)
class Fused(ABC):
    """An operation on whole numbers [N, *input_shape] -> [N, *output_shape], without memory."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @abstractmethod
    def apply(self, x: np.ndarray) -> np.ndarray:
        """The output for x, in x's floating-point type; exact while sums stay below its mantissa."""

    @abstractmethod
    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Least and largest output for inputs within low .. high."""

    @abstractmethod
    def at_rest(self, constant: np.ndarray) -> np.ndarray:
        """What a constant input [*input_shape] (a bias) adds to the output whatever else arrives."""

    @staticmethod
    def from_metadata(name: str, graph: nir.NIRGraph) -> Fused:
        """The operation that a marked nested graph names, in the graph's own shapes."""
        shapes = [tuple(int(n) for n in next(iter(kind.values()))) for kind in (graph.input_type, graph.output_type)]
        return FUSED[graph.metadata[MARK]].from_values(*shapes, graph.metadata)


@dataclass(frozen=True)
class SelfAttention(Fused):
    """scale * Q K^T V over the tokens of each head; Q, K and V are spikes, stacked along the channels.

    [N, 3C, H, W] -> [N, C, H, W], with head h in channels h C / heads .. (h + 1) C / heads.
    """

    heads: int
    scale: int

    @classmethod
    def from_values(cls, input_shape, output_shape, values: Mapping[str, Any]) -> SelfAttention:
        """heads and scale from metadata."""
        return cls(input_shape, output_shape, int(values["heads"]), int(values["scale"]))

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
            raise ValueError("self-attention reads a bias; it needs spikes")
        return np.zeros(self.output_shape)


@dataclass(frozen=True)
class MaxPool(Fused):
    """Max-pool of currents, PyTorch's: padding never wins. [N, C, H, W] -> [N, C, H', W']."""

    kernel: int
    stride: int
    padding: int

    @classmethod
    def from_values(cls, input_shape, output_shape, values: Mapping[str, Any]) -> MaxPool:
        """kernel, stride and padding from metadata."""
        return cls(input_shape, output_shape, *(int(values[field]) for field in ("kernel", "stride", "padding")))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """First along the height, then along the width."""
        for axis in (2, 3):
            pad = [(self.padding, self.padding) if a == axis else (0, 0) for a in range(4)]
            padded = np.pad(x, pad, constant_values=-np.inf)
            length = self.output_shape[axis - 1]
            x = None
            for tap in range(self.kernel):
                window = slice(tap, tap + self.stride * (length - 1) + 1, self.stride)
                candidate = padded[(slice(None),) * axis + (window,)]
                x = candidate.copy() if x is None else np.maximum(x, candidate, out=x)
        return x

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """A maximum is one of its candidates."""
        return low, high

    def at_rest(self, constant: np.ndarray) -> np.ndarray:
        """max(x + b) = max(x) + b for one bias b a channel."""
        bias = constant[:, :1, :1]
        if not np.array_equal(np.broadcast_to(bias, constant.shape), constant):
            raise ValueError("a max-pool of currents reads a bias that differs within a channel")
        return np.broadcast_to(bias, self.output_shape)


FUSED: dict[str, type[Fused]] = {
    "spiking self-attention": SelfAttention,
    "max-pool of currents": MaxPool,
}


def without_gates(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The same graph with marked nested graphs reduced to their ports, for targets that run them fused."""
    nodes = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph) and node.metadata.get(MARK) in FUSED:
            ports = {n: port for n, port in node.nodes.items() if isinstance(port, (nir.Input, nir.Output))}
            node = nir.NIRGraph(ports, [], metadata=node.metadata, type_check=False)
        nodes[name] = node
    return nir.NIRGraph(nodes, graph.edges, metadata=graph.metadata, type_check=False)
