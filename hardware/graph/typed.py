"""Graphs that are type-checked: by NIR, or where NIR itself is mistaken, by us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nir

from .flatten import flatten


def typed_graph(
    nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]], metadata: Mapping[str, Any] | None = None
) -> nir.NIRGraph:
    """A graph whose shapes fit. Raises ValueError, as NIR does, for one whose shapes do not.

    NIR 1.0.8 takes the height of a convolution's kernel for its width as well, and its inputs for one group's: where it
    sees a mismatch and `flatten` sees none, there is none.
    """
    try:
        return nir.NIRGraph(dict(nodes), list(edges), metadata=dict(metadata or {}))
    except ValueError:
        graph = nir.NIRGraph(dict(nodes), list(edges), metadata=dict(metadata or {}), type_check=False)
        if not any(_misread(node) for node in nodes.values()):
            raise
        flatten(graph, floating_point=True)
        return graph


def _misread(node: Any) -> bool:
    """Whether a node is a convolution of groups or of a kernel that is not square."""
    return isinstance(node, (nir.Conv1d, nir.Conv2d)) and (int(node.groups) != 1 or len({*node.weight.shape[2:]}) > 1)
