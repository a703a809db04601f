"""NIR graph -> file, in NIR's own format, whole or not at all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import nir

from hardware.files import write_atomically


def write_graph(graph: nir.NIRGraph, path: str | Path) -> None:
    """What `nir.write` writes, without its copies of every array: a graph of gates may just fit into memory."""
    write_atomically(path, lambda temporary: nir.write(temporary, _Uncopied(graph)))


class _Uncopied:
    """Stands in for a graph whose `to_dict` copies every parameter, twice."""

    def __init__(self, graph: nir.NIRGraph):
        self.graph = graph

    def to_dict(self) -> dict[str, Any]:
        return _to_dict(self.graph)


def _to_dict(node: nir.NIRNode) -> dict[str, Any]:
    if isinstance(node, (nir.Input, nir.Output, nir.Flatten)):
        return node.to_dict()  # these name their shapes in a way of their own
    values = {field.name: getattr(node, field.name) for field in fields(node)}
    values = {name: value for name, value in values.items() if name not in ("input_type", "output_type")}
    if isinstance(node, nir.NIRGraph):
        values["nodes"] = {name: _to_dict(inner) for name, inner in node.nodes.items()}
    return values | {"type": type(node).__name__}
