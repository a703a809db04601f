"""Two traces -> report: how many values differ, population by population, and where the first one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PopulationParity:
    """One population: its neurons, the reference's spikes, values compared and values that differ."""

    name: str
    neurons: int
    spikes: int
    compared: int
    mismatches: int

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step."""
        return self.spikes / self.compared if self.compared else 0.0


@dataclass(frozen=True)
class Divergence:
    """The first value that differs: in execution order the first population, then the first time step in it."""

    population: str
    time_step: int
    sample: int
    neuron: tuple[int, ...]
    reference: int
    value: int

    def __str__(self) -> str:
        return (
            f"{self.population}, sample {self.sample}, time step {self.time_step}, neuron {list(self.neuron)}: "
            f"{self.reference} in the reference, {self.value} here"
        )


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a comparison; `to_dict` gives the fields of parity.json."""

    populations: tuple[PopulationParity, ...]
    first_divergence: Divergence | None
    accuracy: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def mismatches(self) -> int:
        """Values that differ, over all populations."""
        return sum(p.mismatches for p in self.populations)

    @property
    def compared(self) -> int:
        """Values compared, over all populations."""
        return sum(p.compared for p in self.populations)

    def to_dict(self) -> dict[str, Any]:
        """The report as parity.json holds it."""
        return {
            "mismatches": self.mismatches,
            "compared": self.compared,
            "accuracy": self.accuracy,
            "versions": self.versions,
            "populations": [asdict(p) for p in self.populations],
            "first_divergence": asdict(self.first_divergence) if self.first_divergence else None,
        }


def compare(reference: Mapping[str, np.ndarray], trace: Mapping[str, np.ndarray]) -> ParityReport:
    """Compare two traces (population -> [T, B, ...]) value by value, by exact equality.

    Populations are taken in the trace's order, which is the order of execution. Raises ValueError if one of
    them is in only one trace or has another shape there: a population that was not compared is not equal.
    """
    only = {"reference": set(reference) - set(trace), "trace": set(trace) - set(reference)}
    for side, names in only.items():
        if names:
            raise ValueError(
                f"populations only in the {side}: {', '.join(sorted(names))}; both must have the same"
            )
    populations, first = [], None
    for name in trace:
        wanted, found = np.asarray(reference[name]), np.asarray(trace[name])
        if wanted.shape != found.shape:
            raise ValueError(
                f"population '{name}' is {wanted.shape} in the reference and {found.shape} in the trace"
            )
        different = wanted != found
        count = int(np.count_nonzero(different))
        if count and first is None:
            where = tuple(int(i) for i in np.argwhere(different)[0])
            first = Divergence(name, where[0], where[1], where[2:], int(wanted[where]), int(found[where]))
        neurons = int(np.prod(wanted.shape[2:]))
        spikes = int(np.count_nonzero(wanted))
        populations.append(PopulationParity(name, neurons, spikes, wanted.size, count))
    return ParityReport(tuple(populations), first)
