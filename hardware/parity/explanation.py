"""What the steps of a ladder tell: from the float model, stage by stage, to the target."""

from __future__ import annotations

from dataclasses import dataclass

from .causes import Cause


@dataclass(frozen=True)
class Step:
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
