"""Every target by name: those of this package, one a file or folder, and those that other packages register."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InputError, NotAvailableError
from .interface import Target, Trace

if TYPE_CHECKING:
    import nir
    import numpy as np

GROUP = "qkformer.targets"  # of entry points
PARTS = ("name", "available", "check", "run")


def all_targets() -> dict[str, Target]:
    """Every target by name, this package's first.

    One that another package registers and that cannot be loaded is there all the same, not available, with the reason.
    Raises InputError if two have one name.
    """
    package = importlib.import_module(__package__)
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{__package__}.{name}") for name in names)
    found: dict[str, Target] = {}
    for target in [*(m.TARGET for m in modules if hasattr(m, "TARGET")), *map(_load, entry_points(group=GROUP))]:
        if target.name in found:
            raise InputError(f"two targets are called '{target.name}'; uninstall the package that registers the second")
        found[target.name] = target
    return found


def get_target(name: str) -> Target:
    """The target of that name. Raises InputError if there is none."""
    known = all_targets()
    if name not in known:
        raise InputError(f"no target is called '{name}'; there are {', '.join(known)}")
    return known[name]


def get_targets(names: Iterable[str]) -> dict[str, Target]:
    """The targets of these names, in their order. Raises InputError for a name that no target has."""
    return {name: get_target(name) for name in names}


def _load(entry: EntryPoint) -> Target:
    try:
        target = entry.load()
    except Exception as error:  # whatever another package raises while it is imported
        return _Broken(entry.name, f"target '{entry.name}' ({entry.value}) cannot be loaded: {error!r}")
    missing = [part for part in PARTS if not hasattr(target, part)]
    if missing:
        return _Broken(entry.name, f"target '{entry.name}' ({entry.value}) lacks {', '.join(missing)}")
    loaded: Target = target
    return loaded


class _Broken(Target):
    """In the place of a target that cannot be loaded."""

    def __init__(self, name: str, reason: str):
        self.name = self.title = name
        self.description = "cannot be loaded"
        self.reason = reason

    def available(self) -> str:
        """Why not."""
        return self.reason

    def check(self, graph: nir.NIRGraph, **options: Any) -> NoReturn:
        """Never passes."""
        raise NotAvailableError(self.reason)

    def run(self, graph: nir.NIRGraph, inputs: np.ndarray, **options: Any) -> Trace:
        """Never runs."""
        raise NotAvailableError(self.reason)
