"""Which configuration a state dict belongs to, by its keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ..models.catalogue import config_names, get_config
from ..models.config import Config
from ..models.model import create_model
from .errors import CheckpointError
from .state_dict import differences


def recognize(tensors: Mapping[str, Tensor], source: str | Path) -> Config:
    """The first named configuration whose state dict has exactly these keys and shapes.

    Neither depends on time steps, residual or image size: of several that fit, the published one comes first.

    Raises:
        CheckpointError: none fits; it names `source`, the nearest configuration, and how that differs.
    """
    found = {(key, tensor.shape) for key, tensor in tensors.items()}
    likeness = {}
    for name in config_names():
        expected = _entries(name)
        if expected == found:
            return get_config(name)
        likeness[name] = len(expected & found) / len(expected | found)
    nearest = max(likeness, key=lambda name: likeness[name])
    problems = differences(_empty_state_dict(nearest), tensors)
    raise CheckpointError(f"{source}: no configuration has these weights; nearest is {nearest}: {problems}")


def _empty_state_dict(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return create_model(name).state_dict()


@cache
def _entries(name: str) -> frozenset[tuple[str, torch.Size]]:
    return frozenset((key, tensor.shape) for key, tensor in _empty_state_dict(name).items())
