"""What a network gives: the spikes of its last population, or sums that are read and not fired."""

from __future__ import annotations

from torch import Tensor

from qkformer import Population


class Output(Population):
    """What arrives, as it is: [T, B, *shape] -> [T, B, *shape].

    of_integers: spikes, counts or integer sums arrive, and no currents or membranes in float.
    """

    def __init__(self, of_integers: bool = True) -> None:
        super().__init__()
        self.of_integers = of_integers

    @property
    def is_recorded(self) -> bool:
        """Integers are."""
        return self.of_integers

    def forward(self, x: Tensor) -> Tensor:
        """x."""
        return x.clone()
