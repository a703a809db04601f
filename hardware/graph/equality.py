"""Are two graphs the same, node for node and edge for edge?"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import Any

import nir
import numpy as np

UNSAID = ("input_type", "output_type", "metadata")  # what NIR infers, and what nothing depends on


def same_graph(first: nir.NIRGraph, second: nir.NIRGraph) -> bool:
    """Whether both have nodes of the same names, kinds and numbers, and the same edges; metadata does not count."""
    return (
        Counter(map(tuple, first.edges)) == Counter(map(tuple, second.edges))
        and first.nodes.keys() == second.nodes.keys()
        and all(_same_node(node, second.nodes[name]) for name, node in first.nodes.items())
    )


def _same_node(first: nir.NIRNode, second: nir.NIRNode) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, nir.NIRGraph):
        return same_graph(first, second)
    if isinstance(first, (nir.Input, nir.Output)):
        return _equal(*(next(iter(node.input_type.values())) for node in (first, second)))
    names = [field.name for field in fields(first) if field.name not in UNSAID]
    return all(_equal(getattr(first, name), getattr(second, name)) for name in names)


def _equal(first: Any, second: Any) -> bool:
    return np.array_equal(np.asarray(first), np.asarray(second))
