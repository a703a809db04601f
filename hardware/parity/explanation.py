"""Where two traces part, and why: plain data, as parity.json holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Divergence:
    """The first value that differs: in execution order the first population, then the first time step in it.

    neuron: the place in the population, such as (channel, row, column); target: the stage that differs, if named.
    """

    population: str
    time_step: int
    sample: int
    neuron: tuple[int, ...]
    reference: int | float
    value: int | float
    target: str = ""

    def __str__(self) -> str:
        where = f"{self.target}: " if self.target else ""
        return (
            f"{where}{self.population}, sample {self.sample}, time step {self.time_step}, "
            f"neuron {list(self.neuron)}: {self.reference} in the reference, {self.value} here"
        )


@dataclass(frozen=True)
class Cause:
    """kind: one word or two, such as "weight" or "missing reset"; text: a sentence with the values."""

    kind: str
    text: str


UNKNOWN = Cause("unknown", "no known cause reproduces the spikes; run the reproduction bundle")


@dataclass(frozen=True)
class Arrival:
    """One value that reached a neuron. source: the population; neuron: where in it; weight: what 1 counts."""

    source: str
    neuron: tuple[int, ...]
    value: int
    weight: float


@dataclass(frozen=True)
class NeuronHistory:
    """One neuron from the first time step to the divergence, in synaptic units; an output has no membrane.

    membrane: before each comparison, as the side's graph gives it for the spikes that the side recorded.
    """

    current: tuple[float, ...]
    membrane: tuple[float, ...]
    threshold: float | None
    emitted: tuple[int, ...]


@dataclass(frozen=True)
class Explanation:
    """divergence: where; origin: "local", or "inherited" where this layer only passes on an error.

    causes: those that reproduce the target. arrived: how many values reached the neuron at that time step in the
    reference; arrived_sum: what they add up to; arrivals: the largest of them; all None behind a fused operation.
    origins: of every population that differs.
    """

    divergence: Divergence
    origin: str
    causes: tuple[Cause, ...]
    reference: NeuronHistory
    target: NeuronHistory
    arrived: int | None
    arrived_sum: float | None
    arrivals: tuple[Arrival, ...] | None
    origins: dict[str, str]

    @property
    def cause(self) -> Cause:
        """The first cause, or UNKNOWN."""
        return self.causes[0] if self.causes else UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """The explanation as parity.json holds it; the divergence stands beside it there."""
        found = asdict(self)
        del found["divergence"]
        return found | {"causes": [asdict(cause) for cause in self.causes or (UNKNOWN,)]}
