"""Kinds of NIR nodes, one a file. To add one: a file beside this that ends in a `NodeKind` called KIND."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from ...errors import GraphError
from .kind import Delaying, Memoryless, NodeKind, Port, Readout, Spiking

__all__ = [
    "Delaying",
    "Memoryless",
    "NodeKind",
    "Port",
    "Readout",
    "Spiking",
    "kind_of",
    "memoryless",
    "node_kinds",
    "spiking",
]


@cache
def node_kinds() -> dict[type, NodeKind]:
    """Every kind by the class of its nodes."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.KIND.node_type: module.KIND for module in modules if hasattr(module, "KIND")}


def kind_of(node: Any) -> NodeKind | None:
    """The kind of a node, or None if there is none."""
    return next((node_kinds()[base] for base in type(node).__mro__ if base in node_kinds()), None)


def memoryless(name: str, node: Any) -> Memoryless:
    """The kind of a node that has no memory. Raises GraphError for any other."""
    kind = kind_of(node)
    if not isinstance(kind, Memoryless):
        raise GraphError(f"node '{name}' is a {type(node).__name__}, which is not a node without memory")
    return kind


def spiking(name: str, node: Any) -> Spiking:
    """The kind of a node that spikes. Raises GraphError for any other."""
    kind = kind_of(node)
    if not isinstance(kind, Spiking):
        raise GraphError(f"node '{name}' is a {type(node).__name__}, which does not spike")
    return kind
