"""One layer, as its module lists it."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from .neuron import Neuron, Population


class Layer(NamedTuple):
    """One layer of a `Layered` module; the paths are relative to that module.

    It computes lif(bn(conv(x))), or bn(conv(lif(x))) where `lif_first`; without a neuron, bn(conv(x)).
    """

    name: str
    conv: nn.Conv1d | nn.Conv2d | nn.Linear
    bn: nn.BatchNorm1d | nn.BatchNorm2d
    lif: Neuron | None
    pool: nn.Module | None
    conv_path: str
    bn_path: str
    lif_path: str | None
    pool_path: str | None
    lif_first: bool

    @property
    def pool_after_lif(self) -> bool:
        """Whether spikes are pooled (deployable models, SPS) or currents (the published SPEDS)."""
        return isinstance(self.pool, Population)
