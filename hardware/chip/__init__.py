"""Numbers of each chip. To add one: a file beside this that ends in a `Chip` called CHIP."""

from __future__ import annotations

import importlib
import pkgutil

from ..errors import InputError
from .chip import Chip
from .loihi2 import CHIP as LOIHI_2

__all__ = ["LOIHI_2", "Chip", "chips", "get_chip"]


def chips() -> dict[str, Chip]:
    """Every chip by name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.CHIP.name: module.CHIP for module in modules if hasattr(module, "CHIP")}


def get_chip(name: str) -> Chip:
    """The chip of that name. Raises InputError if there is none."""
    known = chips()
    if name not in known:
        raise InputError(f"no chip is called '{name}'; there are {', '.join(known)}")
    return known[name]
