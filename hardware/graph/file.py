"""NIR graphs in files, in NIR's own format."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import nir

from ..errors import GraphError
from ..files import write_atomically


def read_graph(path: str | Path, *, type_check: bool = True) -> nir.NIRGraph:
    """`nir.read`, with GraphError in one line for a file that is missing, damaged or not NIR."""
    path = Path(path)
    if not path.is_file():
        raise GraphError(f"{path}: no such file")
    try:
        graph = nir.read(path, type_check)
    except Exception as error:  # h5py and nir raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(f"{path}: not a readable NIR file: {reason}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError(f"{path}: holds a single {type(graph).__name__} node, not a graph")
    return graph


def write_graph(graph: nir.NIRGraph, path: str | Path, *, compression: str | None = "gzip") -> None:
    """What `nir.write` writes, whole or not at all, and without its copies of every array.

    A graph of gates may just fit into memory.
    """
    write_atomically(path, lambda temporary: nir.write(temporary, _Uncopied(graph), compression=compression))


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
