"""A chip as a value: the formats of its numbers. Whoever needs one of them is given the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Range = tuple[int, int]


@dataclass(frozen=True)
class Chip:
    """The number formats of a neuromorphic chip of Loihi's kind; each chip is one file beside this one.

    name: how a user asks for it; title: how people call it. The membrane and the threshold are held in units of
    2^-fraction_bits of a synaptic unit, a decay in units of 2^-decay_bits: decay_unity keeps nothing, 0 keeps all.
    Ranges are inclusive. sum_limit: |sum of inputs| and |membrane| stay below it, in synaptic units.
    message_limit: a graded spike, and what one synapse gives, stays below it. delay_limit: time steps that a synapse
    can hold a spike back. graded_spikes: whether a spike can carry a number, as relays of residual sums need.
    """

    name: str
    title: str
    fraction_bits: int
    decay_bits: int
    weight_range: Range
    weight_exponent_range: Range
    bias_mantissa_range: Range
    bias_exponent_range: Range
    threshold_range: Range
    sum_limit: int
    message_limit: int
    delay_limit: int
    graded_spikes: bool

    @property
    def fraction(self) -> int:
        """How many units of the membrane are one synaptic unit."""
        return 1 << self.fraction_bits

    @property
    def decay_unity(self) -> int:
        """The decay that keeps nothing of the membrane."""
        return 1 << self.decay_bits

    @property
    def largest_weight(self) -> int:
        """The largest magnitude of a mantissa that both signs have."""
        return min(-self.weight_range[0], self.weight_range[1])

    @property
    def coarsest_bias_step(self) -> int:
        """What the mantissa of a bias counts, in synaptic units, at its largest exponent."""
        return 1 << (self.bias_exponent_range[1] - self.fraction_bits)

    @property
    def largest_bias(self) -> int:
        """The largest magnitude of a bias that both signs have, in synaptic units."""
        return self.bias_mantissa_range[1] * self.coarsest_bias_step

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Chip:
        """The inverse of `to_dict`, also after a round trip through JSON."""
        fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**fields)
