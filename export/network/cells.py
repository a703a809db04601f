"""Neurons of any parameters, stepped in time, in float and in a chip's integers; and those that hear themselves.

What arrives at a neuron is a current x. With a current of its own (NIR's CubaLIF, Loihi's du) it is filtered first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hardware.chip import LOIHI_2, Chip
from hardware.errors import RangeError
from qkformer import Population

State = dict[str, Tensor]


class Cell(Population):
    """A population that is stepped: [T, B, *shape] -> spikes [T, B, *shape], or membranes if it never fires."""

    @property
    @abstractmethod
    def fires(self) -> bool:
        """Whether it ever does; else the output shows its membrane."""

    @property
    def is_recorded(self) -> bool:
        """Spikes are; a membrane the output shows."""
        return self.fires

    @abstractmethod
    def rest(self, x: Tensor) -> State:
        """The state before the first step, of what arrives in one step, [B, *shape]."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> Tensor:
        """What one step gives; the state is changed in place."""

    def forward(self, x: Tensor) -> Tensor:
        """All steps from rest."""
        state = self.rest(x[0])
        return torch.stack([self.step(arriving, state) for arriving in x])


class FloatCell(Cell):
    """In float64, the membrane v measured from where a spike resets it; the comparison is strict, as NIR's:

        current <- current_kept * current + current_gain * x     (without a current of its own: x)
        v <- kept * v + gain * current + drive;  spike iff v > threshold, then v <- 0

    Parameters: tensors of the population's shape, or of no dimension where all its neurons are alike.
    threshold None: a membrane that never fires, and whose value is what it gives.
    """

    def __init__(
        self,
        *,
        kept: Tensor,
        gain: Tensor,
        drive: Tensor,
        threshold: Tensor | None,
        current_kept: Tensor | None = None,
        current_gain: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> None:
        super().__init__()
        values = {"kept": kept, "gain": gain, "drive": drive, "threshold": threshold, "reset": reset}
        values |= {"current_kept": current_kept, "current_gain": current_gain}
        self.kept: Tensor
        self.gain: Tensor
        self.drive: Tensor
        self.threshold: Tensor | None
        self.reset: Tensor | None  # what was taken as 0; a membrane that is read gives it back
        self.current_kept: Tensor | None
        self.current_gain: Tensor | None
        for name, value in values.items():
            self.register_buffer(name, None if value is None else value.double())

    @property
    def fires(self) -> bool:
        """With a threshold."""
        return self.threshold is not None

    @property
    def whole_gain(self) -> Tensor:
        """What of x reaches the membrane in the step in which it arrives."""
        return self.gain if self.current_gain is None else self.gain * self.current_gain

    def of_unit_gain(self) -> FloatCell:
        """The same for inputs that are multiplied by its gain before they arrive."""
        one = torch.ones(())
        current_gain = None if self.current_gain is None else one
        return FloatCell(
            kept=self.kept,
            gain=one,
            drive=self.drive,
            threshold=self.threshold,
            reset=self.reset,
            current_kept=self.current_kept,
            current_gain=current_gain,
        )

    def rest(self, x: Tensor) -> State:
        """At the reset, without a current."""
        return {"membrane": torch.zeros_like(x), "current": torch.zeros_like(x)}

    def step(self, x: Tensor, state: State) -> Tensor:
        """The update above."""
        current = x
        if self.current_kept is not None and self.current_gain is not None:
            current = state["current"] = self.current_kept * state["current"] + self.current_gain * x
        membrane = self.kept * state["membrane"] + self.gain * current + self.drive
        if self.threshold is None:
            state["membrane"] = membrane
            return membrane if self.reset is None else membrane + self.reset
        fired = membrane > self.threshold
        state["membrane"] = membrane.masked_fill(fired, 0.0)
        return fired.to(x.dtype)


class FixedCell(Cell):
    """In a chip's integers; Loihi 2 holds current and membrane in 1/64, their decays in 1/4096:

        current <- toward_zero(current * (1 - current_decay)) + x         (current_decay of 1: x)
        membrane <- toward_zero(membrane * (1 - decay)) + current + bias;  spike iff membrane > threshold, then 0

    decay, current_decay: int64 in the chip's units; threshold, bias: in synaptic units; of the population's shape, or
    of no dimension. threshold None: it never fires, and gives its membrane, in the chip's units. scale: what 1 of the
    sums that arrive is worth.
    Raises RangeError when a sum, the current or the membrane reaches the chip's limit.
    """

    def __init__(
        self,
        name: str,
        decay: Tensor,
        threshold: Tensor | None,
        current_decay: Tensor,
        bias: Tensor,
        chip: Chip = LOIHI_2,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.name, self.chip, self.scale = name, chip, scale
        self.decay: Tensor
        self.threshold: Tensor | None
        self.current_decay: Tensor
        self.bias: Tensor
        values = {"decay": decay, "threshold": threshold, "current_decay": current_decay, "bias": bias}
        for field, value in values.items():
            self.register_buffer(field, None if value is None else value.to(torch.int64))

    @property
    def fires(self) -> bool:
        """With a threshold."""
        return self.threshold is not None

    @property
    def has_current(self) -> bool:
        """Whether a current lasts longer than a step."""
        return bool((self.current_decay < self.chip.decay_unity).any())

    def rest(self, x: Tensor) -> State:
        """Nothing is held."""
        return {"membrane": torch.zeros_like(x, dtype=torch.int64), "current": torch.zeros_like(x, dtype=torch.int64)}

    def step(self, x: Tensor, state: State) -> Tensor:
        """The update above."""
        self._check("sum of inputs", x)
        current = self._kept(state["current"], self.current_decay) + (x.to(torch.int64) << self.chip.fraction_bits)
        self._check("current", current / self.chip.fraction)
        membrane = self._kept(state["membrane"], self.decay) + current + (self.bias << self.chip.fraction_bits)
        self._check("membrane", membrane / self.chip.fraction)
        if self.threshold is None:
            state["current"], state["membrane"] = current, membrane
            return membrane.to(x.dtype)
        fired = membrane > self.threshold << self.chip.fraction_bits
        state["current"], state["membrane"] = current, membrane.masked_fill(fired, 0)
        return fired.to(x.dtype)

    def _kept(self, value: Tensor, decay: Tensor) -> Tensor:
        unity = self.chip.decay_unity
        return torch.div(value * (unity - decay), unity, rounding_mode="trunc")

    def _check(self, what: str, values: Tensor) -> None:
        worst, limit = values.abs().max().item() if values.numel() else 0, self.chip.sum_limit
        if worst >= limit:
            raise RangeError(f"{self.name}: {what} reaches {worst:g}, the limit is {limit}; use smaller weights")


class RecurrentCell(Cell):
    """A population whose spikes come back to it one time step later, each way through modules in a row.

    x[t] + sum over the ways of way(spikes[t - 1]); before the first step there is no spike, and biases are.
    """

    def __init__(self, cell: Cell, ways: Sequence[Mapping[str, nn.Module]]) -> None:
        super().__init__()
        self.cell = cell
        self.names = [list(way) for way in ways]  # of the nodes on each way
        self.ways = nn.ModuleList(nn.ModuleList(way.values()) for way in ways)

    @property
    def fires(self) -> bool:
        """As the population that it is."""
        return self.cell.fires

    def rest(self, x: Tensor) -> State:
        """That of the cell, and no spikes."""
        return {**self.cell.rest(x), "spikes": torch.zeros_like(x)}

    def step(self, x: Tensor, state: State) -> Tensor:
        """The cell's step, with what comes back."""
        for way in self.ways:
            returning: Any = state["spikes"][None]
            for module in way:  # type: ignore[attr-defined]  # a ModuleList, whose type a ModuleList forgets
                returning = module(returning)
            x = x + returning[0]
        spikes = self.cell.step(x, state)
        state["spikes"] = spikes
        return spikes
