"""Interval bounds of a network's values: what can arrive at a population at most, whatever the input.

They tell which sums are exact in float32 and which need no check as they run.
"""

from __future__ import annotations

import nir
import numpy as np

from .flatten import FlatGraph
from .fused import Fused
from .schedule import Schedule
from .shapes import pair

Interval = tuple[float, float]


def value_bounds(graph: FlatGraph, plan: Schedule, inputs: Interval) -> dict[str, Interval]:
    """Least and largest value that each population can send, without what biases add."""
    bounds: dict[str, Interval] = {}
    for name, population in plan.populations.items():
        if population.kind == "input":
            bounds[name] = inputs
        elif population.kind == "neuron":
            bounds[name] = (0.0, 1.0)
        else:
            arriving = [
                synapse_bounds(graph.nodes.get(c.synapse), bounds[c.source])
                for c in plan.connections
                if c.target == name
            ]
            bounds[name] = (sum(low for low, _ in arriving), sum(high for _, high in arriving))
    return bounds


def synapse_bounds(node: nir.NIRNode | Fused | None, values: Interval) -> Interval:
    """Least and largest sum that a synapse can give for values within an interval; None is the identity."""
    low, high = min(values[0], 0.0), max(values[1], 0.0)  # padding is 0
    if node is None:
        return values
    if isinstance(node, Fused):
        return node.bounds(low, high)
    if isinstance(node, nir.SumPool2d):
        return low * np.prod(pair(node.kernel_size)), high * np.prod(pair(node.kernel_size))
    if isinstance(node, nir.Scale):
        ends = [float(node.scale.min()), float(node.scale.max())]
        products = [end * value for end in ends for value in (low, high)]
        return min(products), max(products)
    weights = node.weight.reshape(len(node.weight), -1)
    positive = weights.clip(min=0).sum(1, dtype=np.float64)
    negative = weights.clip(max=0).sum(1, dtype=np.float64)
    return float((positive * low + negative * high).min()), float((positive * high + negative * low).max())
