"""Two traces -> report: how many values differ, population by population, and where the first one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .divergence import Explanation
    from .invariance import Leak
    from .ladder import FoldingError, LayerFlips, Step


@dataclass(frozen=True)
class PopulationParity:
    """One population: neurons, the reference's spikes in `steps` time steps of all samples, what differs."""

    name: str
    neurons: int
    spikes: int
    compared: int
    mismatches: int

    steps: int

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step of one sample."""
        return self.spikes / (self.neurons * self.steps)


@dataclass(frozen=True)
class Divergence:
    """The first value that differs: in execution order the first population, then the first time step in it."""

    population: str
    time_step: int
    sample: int
    neuron: tuple[int, ...]
    reference: int
    value: int
    target: str = ""

    def __str__(self) -> str:
        where = f"{self.target}: " if self.target else ""
        return (
            f"{where}{self.population}, sample {self.sample}, time step {self.time_step}, "
            f"neuron {list(self.neuron)}: {self.reference} in the reference, {self.value} here"
        )


@dataclass(frozen=True)
class Finding:
    """An error that was found: in which layer, of what kind, and a sentence about it."""

    layer: str
    kind: str
    text: str


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a comparison; `to_dict` gives the fields of parity.json.

    targets: the report on each target, where several were compared. The other fields are a ladder's (export.verify):
    its steps, why the first divergence diverges, samples that are not independent, layers that were not folded right,
    and where the fixed model's spikes leave the float model's.
    """

    populations: tuple[PopulationParity, ...]
    first_divergence: Divergence | None
    accuracy: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    targets: dict[str, ParityReport] = field(default_factory=dict)
    ladder: tuple[Step, ...] = ()
    explanation: Explanation | None = None
    leaks: tuple[Leak, ...] = ()
    folding: tuple[FoldingError, ...] = ()
    flips: tuple[LayerFlips, ...] = ()

    @property
    def mismatches(self) -> int:
        """Values that differ, over all populations."""
        return sum(p.mismatches for p in self.populations)

    @property
    def compared(self) -> int:
        """Values compared, over all populations."""
        return sum(p.compared for p in self.populations)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every error, in the order of the ladder; a report without any is a proof."""
        found = [Finding(error.layer, error.cause.kind, error.cause.text) for error in self.folding]
        found += [Finding(leak.divergence.population, "batch leak", str(leak)) for leak in self.leaks]
        found += [
            Finding(layer.name, "unexplained flips", f"{layer.unexplained} spikes flip further than rounding can reach")
            for layer in self.flips
            if layer.unexplained
        ]
        if self.explanation:
            cause = self.explanation.cause
            found.append(Finding(self.explanation.divergence.population, cause.kind, cause.text))
        elif self.first_divergence:
            found.append(Finding(self.first_divergence.population, "divergence", str(self.first_divergence)))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """The report as parity.json holds it."""
        return {
            "mismatches": self.mismatches,
            "compared": self.compared,
            "accuracy": self.accuracy,
            "versions": self.versions,
            "populations": [asdict(p) for p in self.populations],
            "first_divergence": asdict(self.first_divergence) if self.first_divergence else None,
            "targets": {
                name: {"mismatches": report.mismatches, "compared": report.compared}
                for name, report in self.targets.items()
            },
            "findings": [asdict(finding) for finding in self.findings],
            "ladder": [asdict(step) for step in self.ladder],
            "explanation": self.explanation.to_dict() if self.explanation else None,
            "leaks": [asdict(leak) for leak in self.leaks],
            "folding": [asdict(error) for error in self.folding],
            "flips": [asdict(layer) for layer in self.flips],
        }


def compare(
    reference: Mapping[str, np.ndarray], trace: Mapping[str, np.ndarray], *, fail_fast: bool = False
) -> ParityReport:
    """Compare two traces (population -> [T, B, ...]) value by value, by exact equality.

    Populations are taken in the trace's order, which is the order of execution, and read one at a time: a PackedTrace
    is never unpacked as a whole. fail_fast: stop behind the first that differs. Raises ValueError if one of
    them is in only one trace or has another shape there: a population that was not compared is not equal.
    """
    only = {"reference": set(reference) - set(trace), "trace": set(trace) - set(reference)}
    for side, names in only.items():
        if names:
            raise ValueError(f"populations only in the {side}: {', '.join(sorted(names))}; both must have the same")
    populations, first = [], None
    for name in trace:
        wanted, found = np.asarray(reference[name]), np.asarray(trace[name])
        if wanted.shape != found.shape:
            raise ValueError(f"population '{name}' is {wanted.shape} in the reference and {found.shape} in the trace")
        different = wanted != found
        count = int(np.count_nonzero(different))
        if count and first is None:
            where = tuple(int(i) for i in np.argwhere(different)[0])
            first = Divergence(name, where[0], where[1], where[2:], int(wanted[where]), int(found[where]))
        neurons = int(np.prod(wanted.shape[2:]))
        spikes = int(np.count_nonzero(wanted))
        populations.append(
            PopulationParity(name, neurons, spikes, wanted.size, count, wanted.shape[0] * wanted.shape[1])
        )
        if count and fail_fast:
            break
    return ParityReport(tuple(populations), first)


def combine(
    targets: Mapping[str, ParityReport],
    *,
    accuracy: Mapping[str, float] | None = None,
    versions: Mapping[str, str] | None = None,
) -> ParityReport:
    """One report on several targets with the same populations: their counts added up.

    The first divergence is that of the first target that has one. Raises ValueError if there is no target.
    """
    if not targets:
        raise ValueError("no target was compared; name at least one, interpreter or lava")
    by_name: dict[str, list[PopulationParity]] = {}
    for report in targets.values():
        for population in report.populations:
            by_name.setdefault(population.name, []).append(population)
    populations = []
    for same in by_name.values():
        compared, mismatches = sum(p.compared for p in same), sum(p.mismatches for p in same)
        populations.append(replace(same[0], compared=compared, mismatches=mismatches))
    divergences = (
        replace(report.first_divergence, target=name) for name, report in targets.items() if report.first_divergence
    )
    return ParityReport(
        tuple(populations), next(divergences, None), dict(accuracy or {}), dict(versions or {}), dict(targets)
    )
