"""Interval bounds of a network's values: what can arrive at a population at most, whatever the input.

They tell which sums are exact in float32 and which need no check as they run.
"""

from __future__ import annotations

from .flat import FlatGraph
from .nodes import memoryless
from .nodes.kind import Interval
from .schedule import Schedule


def value_bounds(graph: FlatGraph, plan: Schedule, inputs: Interval) -> dict[str, Interval]:
    """Least and largest value that each population can send, without what biases add."""
    bounds: dict[str, Interval] = {}
    for name, population in plan.populations.items():
        if population.kind == "input":
            bounds[name] = inputs
        elif population.kind == "neuron":
            bounds[name] = (0.0, 1.0)
        else:
            arriving = [synapse_bounds(graph, c.synapse, bounds[c.source]) for c in plan.arriving(name)]
            bounds[name] = (sum(low for low, _ in arriving), sum(high for _, high in arriving))
    return bounds


def synapse_bounds(graph: FlatGraph, synapse: str | None, values: Interval) -> Interval:
    """Least and largest sum that a synapse can give for values within an interval; None is the identity."""
    if synapse is None:
        return values
    low, high = min(values[0], 0.0), max(values[1], 0.0)  # padding is 0
    node = graph.nodes[synapse]
    return memoryless(synapse, node).bounds(node, low, high)
