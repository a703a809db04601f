"""The inputs that reached one neuron: each spike, and the weight with which it counted.

The weights of a path of linear nodes are found backward: one at the neuron, then through each node transposed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..graph.nodes import Delaying, kind_of, memoryless
from ..graph.populations import PopulationGraph
from .explanation import Arrival


def arrivals(
    populations: PopulationGraph,
    name: str,
    neuron: tuple[int, ...],
    values: Mapping[str, np.ndarray],
    time_step: int,
    sample: int,
) -> list[Arrival] | None:
    """What reached a neuron at one time step, the largest contribution first. values: [T, B, ...] by population.

    None behind the operation of a marked nested graph, which has no weights, and behind a Delay, which has memory.
    """
    weights = weights_of(populations, name, neuron)
    if weights is None:
        return None
    found = []
    for source, weight in weights.items():
        back = int(source == name)  # a population hears its own spikes one time step later
        if time_step < back:
            continue
        value = values[source][time_step - back, sample]
        for where in np.argwhere((value != 0) & (weight != 0)):
            index = tuple(int(i) for i in where)
            found.append(Arrival(source, index, int(value[index]), float(weight[index])))
    return sorted(found, key=lambda a: (-abs(a.value * a.weight), a.source, a.neuron))


def weights_of(populations: PopulationGraph, name: str, neuron: tuple[int, ...]) -> dict[str, np.ndarray] | None:
    """What 1 at each place of each source adds to the current of a neuron: source -> [C, H, W] or [features]."""
    flat = populations.flat
    start = np.zeros(flat.shapes[name])
    start[neuron] = 1
    weights: dict[str, np.ndarray] = {}

    def pass_on(node_name: str, gradient: np.ndarray) -> None:
        for source in flat.sources[node_name]:
            weights[source] = weights.get(source, 0) + gradient

    pass_on(name, start)
    for node_name in reversed(populations.path(name)):
        node = flat.nodes[node_name]
        if isinstance(kind_of(node), Delaying):
            return None
        gradient = memoryless(node_name, node).transpose(node, weights.pop(node_name), flat.in_shape(node_name))
        if gradient is None:
            return None
        pass_on(node_name, gradient)
    return weights
