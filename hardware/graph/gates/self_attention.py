"""Spiking self-attention, scale * Q K^T V, as gates: a nested NIR graph of standard primitives.

Q, K and V arrive stacked along the channels. For every pair (c, e) of channels of one head:

    together[c, e]  = AND(k[c], v[e])                 Threshold, one gate a pair and token
    count[c, e]     = sum of that over all tokens     SumPool2d with a window that always sees every token
    digit m         of that count                     successive Thresholds
    passed m        = AND(digit m, q[c])              the count, masked by the query
    out[e]          = sum over c, m of scale 2^m passed m     Scale, then Conv2d 1x1
"""

from __future__ import annotations

import nir
import numpy as np

from .primitives import MARK, GraphBuilder, Shape, bit_planes, one_by_one, threshold_gate, token_sum, weighted

OPERATION = "spiking self-attention"


def gate_count(shape: Shape, heads: int) -> int:
    """How many Threshold neurons the graph for [C, H, W] (shape) has."""
    channels, height, width = shape
    pairs = channels * channels // heads
    return pairs * height * width * (1 + 2 * (height * width).bit_length())


def self_attention_graph(shape: Shape, heads: int, scale: int) -> nir.NIRGraph:
    """Nested graph [3C, H, W] -> [C, H, W] (shape), marked with what it computes. scale: a power of two."""
    channels, size = shape[0], shape[1:]
    width = channels // heads
    first, second = np.divmod(np.arange(channels * width), width)  # pair -> channel c, and e within its head
    of_key, of_value = first, first // width * width + second
    gates = (channels * width, *size)
    graph = GraphBuilder()
    graph.add("input", nir.Input({"input": np.array([3 * channels, *size])}))
    for index, (name, chosen) in enumerate((("query", of_key), ("key", of_key), ("value", of_value))):
        graph.add(f"{name}.part", one_by_one(stacking(channels, index).T, size), "input")
        graph.add(name, one_by_one(np.eye(channels, dtype=np.float32)[chosen], size), f"{name}.part")
    threshold_gate(graph, "together", gates, 2, "key", "value")
    token_sum(graph, "count", gates, "together")
    masked = []
    for exponent, digit in bit_planes(graph, "count", gates, int(np.prod(size)).bit_length(), "count"):
        passed = threshold_gate(graph, f"passed{exponent}", gates, 2, digit, "query")
        power = exponent + scale.bit_length() - 1
        masked += weighted(graph, f"passed{exponent}.more", gates, power, 1, passed)
    collect = np.zeros((channels, channels * width), np.float32)
    collect[of_value, np.arange(channels * width)] = 1
    graph.add("collect", one_by_one(collect, size), *masked)
    graph.add("output", nir.Output({"output": np.array(shape)}), "collect")
    return nir.NIRGraph(graph.nodes, graph.edges, metadata={MARK: OPERATION, "heads": heads, "scale": scale})


def stacking(channels: int, index: int) -> np.ndarray:
    """Weight [3C, C] that puts C channels into part `index` of three."""
    weight = np.zeros((3 * channels, channels), np.float32)
    weight[index * channels + np.arange(channels), np.arange(channels)] = 1
    return weight
