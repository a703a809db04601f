"""What an epoch of training came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to.

    `loss` is the mean over the training images; `accuracy` and `firing_rate` (spikes per neuron and time step) are
    of the held-out images; `seconds` is the run so far.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float
    firing_rate: float = 0.0
    images_per_second: float = 0.0
