"""NIR graphs in files, in NIR's own format."""

from __future__ import annotations

import io
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ..errors import GraphError
from ..files import write_atomically
from ..printable import reason_of
from .equality import same_graph
from .hdf5 import Contents, read_hdf5
from .parameters import PARAMETERS, check_parameters
from .typed import typed_graph

GRAPH = "NIRGraph"
NEWEST_VERSION = 1
LONGEST_NAME = 60_000  # bytes; HDF5 has 64 KiB for the head of a link
LONGEST_SHOWN = 100  # characters of a name in an error


def read_graph(path: str | Path, *, type_check: bool = True) -> nir.NIRGraph:
    """`nir.read`, with GraphError in one line for a file that is missing, damaged or not NIR.

    Nothing but this file is read: links to other files and external storage are refused, and so are sizes that the
    file cannot hold. Each node has what parameters.py says of its kind.
    """
    path = Path(path)
    if not path.exists():
        raise GraphError(f"{path}: no such file")
    if not path.is_file():
        raise GraphError(f"{path}: is not a file (a folder, a pipe or a device)")
    try:
        contents = read_hdf5(path)
        _check_version(contents)
        _check_contents("", contents.get("node"))
        graph = nir.dict2NIRNode(contents["node"] | {"type_check": False})
        if type_check:
            graph = typed_graph(graph.nodes, graph.edges, graph.metadata)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from error
    except Exception as error:  # h5py and nir raise many kinds
        raise GraphError(f"{path}: not a readable NIR file: {reason_of(error)}") from error
    return graph


def _check_version(contents: Contents) -> None:
    """A file without one is as old as NIR's first. Raises GraphError for a version after that of the package."""
    version = contents.get("version", "0")
    major = re.match(r"\d+", version) if isinstance(version, str) else None
    if major is None or int(major[0]) > NEWEST_VERSION:
        raise GraphError(f"is of version {version} of NIR; {NEWEST_VERSION} is the newest that is read here")


def _check_contents(name: str, node: Any) -> None:
    """Raise GraphError unless a node is one of NIR's, with the parameters that its kind has."""
    what = f"node '{name}'" if name else "the graph"
    if not isinstance(node, dict):
        raise GraphError(f"{what} is missing" if node is None else f"{what} is not a group with a type and parameters")
    kind = node.get("type")
    if not isinstance(kind, str) or kind not in (*PARAMETERS, GRAPH):
        raise GraphError(f"{what} is of the type {kind!r}; NIR has {', '.join(sorted([*PARAMETERS, GRAPH]))}")
    if not name and kind != GRAPH:
        raise GraphError(f"holds a single {kind} node, not a graph")
    known = {"type", "metadata", *(PARAMETERS[kind] if kind != GRAPH else ("nodes", "edges"))}
    for field in node:
        if field not in known:
            raise GraphError(f"{what} has '{field}', which a {kind} does not have")
    if not isinstance(node.get("metadata", {}), dict):
        raise GraphError(f"{what} has metadata that is not a group")
    if kind != GRAPH:
        check_parameters(name, kind, node)
        if "input_shape" in PARAMETERS[kind]:
            node.setdefault("input_shape", None)  # as `nir` wants to be told
        return
    if not isinstance(node.get("nodes"), dict):
        raise GraphError(f"{what} has no group of nodes")
    for key, inner in node["nodes"].items():
        _check_contents(f"{name}.{key}" if name else key, inner)
    edges = node.get("edges")
    if not isinstance(edges, np.ndarray) or (edges.size and (edges.dtype != object or edges.shape[1:] != (2,))):
        raise GraphError(f"{what} has no edges, pairs of the names of nodes")


def write_graph(
    graph: nir.NIRGraph, path: str | Path, *, compression: str | None = "gzip", check: bool = False
) -> None:
    """What `nir.write` writes, whole or not at all, and without its copies of every array.

    The file is made in memory, as HDF5 cannot be trusted with a disk that is full. check: what was written is read back
    and held against the graph, before it takes the place of an older file. Raises GraphError for a name that no file
    can hold, and for what does not come back; OSError.
    """
    _check_names(graph, "")
    contents = io.BytesIO()
    nir.write(contents, _Uncopied(graph), compression=compression)

    def write(temporary: Path) -> None:
        temporary.write_bytes(contents.getbuffer())
        if check:
            _check_written(graph, path, temporary)

    write_atomically(path, write)


def _check_written(graph: nir.NIRGraph, path: str | Path, written: Path) -> None:
    try:
        same = same_graph(graph, read_graph(written, type_check=False))
    except GraphError as error:
        raise GraphError(f"{path}: what was written is no graph: {error}") from error
    if not same:
        raise GraphError(f"{path}: what was written is another graph than it was made of")


def _check_names(graph: nir.NIRGraph, prefix: str) -> None:
    for name, node in graph.nodes.items():
        if name in ("", ".") or "/" in name or "\0" in name or not 0 < len(_encoded(name)) <= LONGEST_NAME:
            shown = f"{prefix}{name[:LONGEST_SHOWN]}".encode(errors="replace").decode()
            raise GraphError(
                f"node '{shown}' has a name that no NIR file can hold: Unicode without '/' and NUL, not '.', "
                f"1 to {LONGEST_NAME:,} bytes"
            )
        if isinstance(node, nir.NIRGraph):
            _check_names(node, f"{prefix}{name}.")


def _encoded(name: str) -> bytes:
    """In UTF-8; nothing where there is none."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        return b""


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
    values = {name: value for name, value in values.items() if value is not None}
    if isinstance(node, nir.NIRGraph):
        values["nodes"] = {name: _to_dict(inner) for name, inner in node.nodes.items()}
    return values | {"type": type(node).__name__}
