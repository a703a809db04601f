"""What a comparison tells: plain data, as parity.json holds it. Who computes it imports it from here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .explanation import Cause, Divergence, Explanation


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
class Leak:
    """The first population, in execution order, whose spikes depend on a sample's company; and where."""

    arrangement: str
    divergence: Divergence
    mismatches: int

    def __str__(self) -> str:
        first = self.divergence
        return (
            f"{first.population} leaks: sample {first.sample} spikes differently {self.arrangement} than alone "
            f"(time step {first.time_step}, neuron {list(first.neuron)}; {self.mismatches:,} values differ in all)"
        )


@dataclass(frozen=True)
class LadderStep:
    """One stage held against the one before, on the same inputs.

    exact: an integer step, whose spikes must be equal; other steps report agreement. compared, mismatches: spikes.
    logit_error: the largest difference of a logit; same_top1: the share of samples with the same largest logit.
    """

    stage: str
    against: str
    exact: bool
    compared: int
    mismatches: int
    logit_error: float
    same_top1: float
    seconds: float

    @property
    def agreement(self) -> float:
        """The share of spikes that are equal."""
        return 1 - self.mismatches / self.compared


@dataclass(frozen=True)
class FoldingError:
    """A layer whose folded weights and bias do not compute what its convolution and BatchNorm do.

    error: the largest difference of a current, relative to the largest current.
    """

    layer: str
    error: float
    cause: Cause


@dataclass(frozen=True)
class LayerFlips:
    """Where one population of the fixed model leaves the float model's spikes.

    spikes: compared; flips: of the whole fixed model; originated: of the layer alone, fed with the float model's
    spikes; first: neurons and samples with such a flip, of which the first in time is looked at; explained: those
    whose margin to the threshold is within the rounding error that the layer can have; unexplained: the others.
    """

    name: str
    spikes: int
    flips: int
    originated: int
    first: int
    explained: int
    unexplained: int


@dataclass(frozen=True)
class Finding:
    """An error that was found: in which layer, of what kind, and a sentence about it."""

    layer: str
    kind: str
    text: str


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a comparison; `to_dict` gives the fields of parity.json.

    targets: the report on each target, where several were compared. The other fields are a ladder's
    (export.run_ladder): its steps, why the first divergence diverges, samples that are not independent, layers that
    were not folded right, where the fixed model's spikes leave the float model's, and by stage the nested graphs that
    ran as one operation.
    """

    populations: tuple[PopulationParity, ...]
    first_divergence: Divergence | None
    accuracy: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    targets: dict[str, ParityReport] = field(default_factory=dict)
    ladder: tuple[LadderStep, ...] = ()
    explanation: Explanation | None = None
    leaks: tuple[Leak, ...] = ()
    folding: tuple[FoldingError, ...] = ()
    flips: tuple[LayerFlips, ...] = ()
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)

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
            "fused": {stage: list(names) for stage, names in self.fused.items()},
        }
