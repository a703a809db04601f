"""Which populations go into which section: consecutive in execution order, about equal in work."""

from __future__ import annotations

import numpy as np

from ...graph.schedule import Schedule

NEURON_COST = 20  # multiply-adds that cost about as much as one update of a neuron


def partition(plan: Schedule, sections: int) -> list[list[str]]:
    """Names of the populations of each section, in execution order; at most `sections` of them, none empty."""
    names = list(plan.populations)
    work = np.array([_work(plan, name) for name in names], float)
    middle = np.cumsum(work) - work / 2
    section = np.minimum((middle / work.sum() * sections).astype(int), sections - 1)
    parts = [[name for name, index in zip(names, section, strict=True) if index == part] for part in range(sections)]
    return [part for part in parts if part]


def bus(plan: Schedule, parts: list[list[str]]) -> list[str]:
    """The populations whose values one section sends to another."""
    section = {name: index for index, part in enumerate(parts) for name in part}
    crossing = {c.source for c in plan.connections if section[c.source] != section[c.target]}
    return [name for name in plan.populations if name in crossing]


def _work(plan: Schedule, name: str) -> float:
    """Multiply-adds of a population's synapses, and of its update."""
    synapses = {connection.synapse for connection in plan.arriving(name)}
    products = sum(plan.synapses[synapse].products for synapse in synapses if synapse)
    return float(NEURON_COST * np.prod(plan.populations[name].shape) + products)
