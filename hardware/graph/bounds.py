"""Interval bounds of a network's values: what can arrive at a population at most, whatever the input.

They tell which sums are exact in float32, and which are certified: no check is needed as they run.
"""

from __future__ import annotations

import numpy as np

from .flat import FlatGraph, at_rest
from .neuron import IntegerNeuron
from .nodes import memoryless
from .nodes.kind import Interval
from .numbers import integer_neuron
from .schedule import Schedule


def value_bounds(graph: FlatGraph, plan: Schedule, inputs: Interval) -> dict[str, Interval]:
    """Least and largest value that each population can send, without what biases add."""
    bounds: dict[str, Interval] = {}
    for name, population in plan.populations.items():
        if population.kind == "input":
            bounds[name] = inputs
        elif population.kind == "neuron":
            bounds[name] = (0.0, 1.0)
        elif population.kind == "readout":  # its membrane, in the chip's units
            most = plan.chip.sum_limit * plan.chip.fraction - 1.0
            bounds[name] = (-most, most)
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


def uncertified_populations(graph: FlatGraph, plan: Schedule, inputs: Interval, time_steps: int) -> set[str]:
    """Those that some input within the interval might take to the chip's limits; they are watched as they run.

    A neuron's sum and, over time_steps steps, its membrane stay below the limit of a sum; what a relay or an output
    adds up, below that of a message.
    """
    bounds, resting, found = value_bounds(graph, plan, inputs), at_rest(graph), set()
    for name, population in plan.populations.items():
        if population.has_membrane:
            ends = [synapse_bounds(graph, c.synapse, bounds[c.source]) for c in plan.arriving(name)]
            largest = max(abs(sum(low for low, _ in ends)), abs(sum(high for _, high in ends)))
            bias = float(np.abs(resting[name]).max(initial=0))
            largest *= _steps_of_current(integer_neuron(graph, name), time_steps)
            certified = (largest + bias) * time_steps < plan.chip.sum_limit
        else:
            certified = population.kind == "input" or max(map(abs, bounds[name])) < plan.chip.message_limit
        if not certified:
            found.add(name)
    return found


def _steps_of_current(neuron: IntegerNeuron, time_steps: int) -> float:
    """How many steps' largest input the current of a neuron holds at most."""
    if neuron.current_decay is None:
        return 1
    return min(time_steps, neuron.chip.decay_unity / max(int(neuron.current_decay.min()), 1))


def uncertified_synapses(graph: FlatGraph, plan: Schedule, inputs: Interval) -> dict[str, float]:
    """Synapses whose sums some input within the interval might take to the limit of a message, and how far."""
    bounds = value_bounds(graph, plan, inputs)
    reached = {
        c.synapse: max(map(abs, synapse_bounds(graph, c.synapse, bounds[c.source])))
        for c in plan.connections
        if c.synapse
    }
    return {name: most for name, most in reached.items() if most >= plan.chip.message_limit}
