"""The certificate of a fixed model: bounds on every sum and membrane that hold for every possible input.

Interval arithmetic: a sum is largest when all positive weights, and only they, meet the largest inputs. A layer
whose bound stays below the limit cannot overflow on any input; one that is not certified is checked as it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerCertificate:
    """One weighted layer. scale: what 1 is worth; bounds and limit in synaptic units."""

    name: str
    population: str
    scale: float
    largest_weight: int
    largest_bias: int
    threshold: int | None
    sum_bound: int
    membrane_bound: int | None
    limit: int

    @property
    def largest_value(self) -> int:
        """The larger of the two bounds."""
        return max(self.sum_bound, self.membrane_bound or 0)

    @property
    def certified(self) -> bool:
        """Whether no input can drive the layer to its limit."""
        return self.largest_value < self.limit


@dataclass(frozen=True)
class Certificate:
    """The certificates of all weighted layers, in execution order."""

    layers: tuple[LayerCertificate, ...]

    @property
    def certified(self) -> bool:
        """Whether every layer is."""
        return all(layer.certified for layer in self.layers)

    def __iter__(self) -> Iterator[LayerCertificate]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def to_list(self) -> list[dict[str, Any]]:
        """Plain values, for JSON."""
        return [asdict(layer) | {"certified": layer.certified} for layer in self.layers]
