"""NIR graphs in files, in NIR's own format."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import nir

from ..errors import GraphError
from ..files import write_atomically
from .hdf5 import check_hdf5


def read_graph(path: str | Path, *, type_check: bool = True) -> nir.NIRGraph:
    """`nir.read`, with GraphError in one line for a file that is missing, damaged or not NIR.

    Nothing but this file is read: links to other files and external storage are refused before, and so are sizes that
    the file cannot hold.
    """
    path = Path(path)
    if not path.exists():
        raise GraphError(f"{path}: no such file")
    if not path.is_file():
        raise GraphError(f"{path}: is not a file (a folder, a pipe or a device)")
    try:
        check_hdf5(path)
        graph = nir.read(path, type_check)
    except GraphError:
        raise
    except Exception as error:  # h5py and nir raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(f"{path}: not a readable NIR file: {reason}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError(f"{path}: holds a single {type(graph).__name__} node, not a graph")
    return graph


def write_graph(graph: nir.NIRGraph, path: str | Path, *, compression: str | None = "gzip") -> None:
    """What `nir.write` writes, whole or not at all, and without its copies of every array.

    The file is made in memory, as HDF5 cannot be trusted with a disk that is full. Raises GraphError for a name that no
    file can hold, and OSError.
    """
    _check_names(graph, "")
    contents = io.BytesIO()
    nir.write(contents, _Uncopied(graph), compression=compression)
    write_atomically(path, lambda temporary: temporary.write_bytes(contents.getbuffer()))


def _check_names(graph: nir.NIRGraph, prefix: str) -> None:
    for name, node in graph.nodes.items():
        if not name or name == "." or "/" in name or "\0" in name:
            raise GraphError(f"node '{prefix}{name}' has a name that no NIR file can hold: no '/', not '.', not empty")
        if isinstance(node, nir.NIRGraph):
            _check_names(node, f"{prefix}{name}.")


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
