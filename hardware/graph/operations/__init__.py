"""Operations that a marked nested graph may compute. To add one: a file beside this that ends in OPERATION."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from .operation import Operation

__all__ = ["Operation", "operations"]


@cache
def operations() -> dict[str, type[Operation]]:
    """Every operation by the name that a mark gives it."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.OPERATION.name: module.OPERATION for module in modules if hasattr(module, "OPERATION")}
