"""The first divergence explained: what the neuron held on both sides, what reached it, whose error it is, and why."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.populations import DrivenPopulation, PopulationGraph
from .arrivals import arrivals
from .causes import behaviour_causes, parameter_causes
from .explanation import Divergence, Explanation, NeuronHistory

LOCAL, INHERITED = "local", "inherited"
ARRIVALS_SHOWN = 16


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its trace (population -> [T, B, ...]), and the graph that it should have executed.

    inputs: what the graph received, [T, B, *input shape].
    """

    trace: Mapping[str, np.ndarray]
    populations: PopulationGraph
    inputs: np.ndarray

    @property
    def values(self) -> Mapping[str, np.ndarray]:
        """What every population and the input emitted."""
        return ChainMap({self.populations.flat.input_name: self.inputs}, self.trace)  # type: ignore[arg-type]  # only read

    def driven(self, name: str, values: Mapping[str, np.ndarray] | None = None) -> DrivenPopulation:
        """A population by itself, on the side's own spikes or on given ones."""
        return self.populations.driven(name, self.values if values is None else values)

    def history(self, name: str, sample: int, neuron: tuple[int, ...], time_step: int) -> NeuronHistory:
        """One neuron up to a time step."""
        layer, until, fraction = self.driven(name), time_step + 1, self.populations.flat.chip.fraction
        at: tuple[Any, ...] = (slice(until), sample, *neuron)
        current = layer.current[at] / fraction
        emitted = self.trace[name][at]
        membrane, threshold = layer.membrane(sample, neuron)[:until] / fraction, layer.threshold(neuron)
        return NeuronHistory(
            tuple(current.tolist()),
            tuple(membrane.tolist()),
            None if threshold is None else threshold / fraction,
            tuple(emitted.tolist()),
        )


def explain(reference: Side, target: Side, divergence: Divergence, differing: Iterable[str]) -> Explanation:
    """Why a population differs. differing: all populations that do, for their origins.

    An error is local if the target's layer, fed with the reference's spikes (the golden input), does not emit what
    the reference did, or if the target did not emit what its layer does on the target's own spikes.
    """
    name, where = divergence.population, (divergence.sample, divergence.neuron, divergence.time_step)
    causes = parameter_causes(name, reference.populations, target.populations)
    causes += behaviour_causes(target.driven(name), target.trace[name])
    reached = arrivals(
        reference.populations, name, divergence.neuron, reference.values, divergence.time_step, divergence.sample
    )
    return Explanation(
        divergence,
        origin(reference, target, name),
        tuple(causes),
        reference.history(name, *where),
        target.history(name, *where),
        None if reached is None else len(reached),
        None if reached is None else sum(arrival.value * arrival.weight for arrival in reached),
        None if reached is None else tuple(reached[:ARRIVALS_SHOWN]),
        {other: origin(reference, target, other) for other in differing},
    )


def origin(reference: Side, target: Side, name: str) -> str:
    """Whether a population errs by itself (LOCAL), or only passes on an error (INHERITED)."""
    golden = target.driven(name, reference.values).run()
    own = target.driven(name).run()
    right = np.array_equal(golden, reference.trace[name]) and np.array_equal(own, target.trace[name])
    return INHERITED if right else LOCAL
