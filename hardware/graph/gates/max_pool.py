"""Max-pooling of currents as gates: a nested NIR graph of standard primitives.

max(a, b) = b + max(0, a - b), and the binary digits of max(0, d) are successive Thresholds on d: no sign, no offset
and no Boolean logic is needed. A window is reduced tap by tap, along the width first, then along the height.

Padding must never win, but a Conv2d pads with 0, which is larger than a negative current. So a tap that may fall
on the padding is held down there by an inhibition that a population of always active gates lifts wherever
the tap is inside: both come through one Conv2d, so they cancel everywhere but at the edge.
"""

from __future__ import annotations

import nir
import numpy as np

from ...errors import InputError
from .primitives import MARK, GraphBuilder, Shape, bit_planes, threshold_gate, weighted

OPERATION = "max-pool of currents"
INHIBITION = 1 << 13  # one active gate's; see masking.LARGEST_POWER


def gate_count(shape: Shape, pool: tuple[int, int, int], low: int, high: int) -> int:
    """How many Threshold neurons the graph for currents [C, H, W] (shape) has."""
    gates = 0
    for axis in (1, 0):
        if any(_meets_padding(shape, axis, pool, tap) for tap in range(pool[0])):
            gates += _inhibitors(low) * np.prod(shape[1:])
        shape = _pooled(shape, axis, pool)
        gates += (pool[0] - 1) * _digits(low, high) * np.prod(shape)
    return int(gates)


def current_pool_graph(shape: Shape, pool: tuple[int, int, int], low: int, high: int) -> nir.NIRGraph:
    """Nested graph [C, H, W] (shape) -> [C, H', W'] for currents within low .. high, with a square window.

    pool: kernel, stride, padding. The currents must be within 2^16, so that differences are below 2^17.
    Raises InputError for an even kernel: a square window of one row has a middle only if its side is odd.
    """
    if pool[0] % 2 == 0:
        raise InputError(f"a max-pool of currents has kernel {pool[0]}; odd ones can be lowered")
    graph = GraphBuilder()
    graph.add("input", nir.Input({"input": np.array(shape)}))
    sources = ["input"]
    for name, axis in (("width", 1), ("height", 0)):
        sources = _pool_axis(graph, name, shape, axis, pool, low, high, sources)
        shape = _pooled(shape, axis, pool)
    graph.add("output", nir.Output({"output": np.array(shape)}), *sources)
    metadata = {MARK: OPERATION, **dict(zip(("kernel", "stride", "padding"), pool, strict=True))}
    metadata |= {"low": low, "high": high}
    return nir.NIRGraph(graph.nodes, graph.edges, metadata=metadata)


def _pooled(shape: Shape, axis: int, pool: tuple[int, int, int]) -> Shape:
    kernel, stride, padding = pool
    length = (shape[1 + axis] + 2 * padding - kernel) // stride + 1
    return (*shape[: 1 + axis], length, *shape[2 + axis :])


def _meets_padding(shape: Shape, axis: int, pool: tuple[int, int, int], tap: int) -> bool:
    _, stride, padding = pool
    last = stride * (_pooled(shape, axis, pool)[1 + axis] - 1) + tap - padding
    return tap < padding or last >= shape[1 + axis]


def _digits(low: int, high: int) -> int:
    return max(1, (high - low).bit_length())


def _inhibitors(low: int) -> int:
    """How many active gates hold the least current of a window's base down to 0."""
    return max(1, -(low // INHIBITION))


def _active(graph: GraphBuilder, name: str, shape: Shape, count: int, sources: list[str]) -> None:
    """Gates [count, H, W] that fire at every step: a convolution of zeros with bias 1 gives 1 whatever arrives."""
    zeros, ones = np.zeros((count, shape[0], 1, 1), np.float32), np.ones(count, np.float32)
    bias = nir.Conv2d(tuple(shape[1:]), zeros, (1, 1), (0, 0), (1, 1), 1, ones)
    graph.add(f"{name}.bias", bias, *sources)
    threshold_gate(graph, name, (count, *shape[1:]), 1, f"{name}.bias")


def _pool_axis(
    graph: GraphBuilder,
    name: str,
    shape: Shape,
    axis: int,
    pool: tuple[int, int, int],
    low: int,
    high: int,
    sources: list[str],
) -> list[str]:
    """Nodes whose sum is the maximum along one axis (0: height, 1: width) of the sum of `sources`."""
    kernel, _, padding = pool
    channels, out_shape = shape[0], _pooled(shape, axis, pool)
    own, bits = np.eye(channels, dtype=np.float32), _digits(low, high)
    base = padding  # this tap looks at position stride * i, which is never in the padding
    result = [graph.add(f"{name}.base", _tap(shape, axis, pool, own, {base: 1}), *sources)]
    added: list[str] = []  # minus what the maximum so far has more than the base
    others = [tap for tap in range(kernel) if tap != base]
    for tap in others:
        terms = [graph.add(f"{name}.tap{tap}", _tap(shape, axis, pool, own, {tap: 1, base: -1}), *sources)]
        if _meets_padding(shape, axis, pool, tap):
            active = f"{name}.active"
            if active not in graph.nodes:
                _active(graph, active, shape, _inhibitors(low), sources)
            every = np.ones((channels, _inhibitors(low)), np.float32)
            edge = _tap(shape, axis, pool, every, {tap: INHIBITION, base: -INHIBITION})
            terms.append(graph.add(f"{name}.edge{tap}", edge, active))
        for exponent, digit in bit_planes(graph, f"{name}.tap{tap}", out_shape, bits, *terms, *added):
            result += weighted(graph, f"{name}.tap{tap}.more{exponent}", out_shape, exponent, 1, digit)
            if tap != others[-1]:
                added += weighted(graph, f"{name}.tap{tap}.base{exponent}", out_shape, exponent, -1, digit)
    return result


def _tap(shape: Shape, axis: int, pool: tuple[int, int, int], channels: np.ndarray, taps: dict[int, int]) -> nir.Conv2d:
    """Conv2d that gathers weighted taps of each window along one axis. channels: [C_out, C_in], what goes where.

    The kernel is square, as NIR 1.0.8 infers shapes from its height alone; along the other axis only its middle
    is not 0.
    """
    kernel, stride, padding = pool
    middle = kernel // 2
    pattern = np.zeros((kernel, kernel), np.float32)
    for tap, value in taps.items():
        pattern[(tap, middle) if axis == 0 else (middle, tap)] = value
    strides = (stride, 1) if axis == 0 else (1, stride)
    paddings = (padding, middle) if axis == 0 else (middle, padding)
    weight = channels[:, :, None, None] * pattern
    return nir.Conv2d(tuple(shape[1:]), weight, strides, paddings, (1, 1), 1, np.zeros(len(channels), np.float32))
