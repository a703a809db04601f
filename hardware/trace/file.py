"""The one file format of traces: a zip archive, in which the names of populations are data.

trace.json has the version, what the trace was made of, and name, shape and type of each population in execution
order; members 0, 1, 2, ... are their packed values, written and read one at a time. Nothing is ever unpickled, and
what the file declares is held against what is in it before memory is taken for it.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import TraceError
from ..files import write_atomically
from ..printable import reason_of
from .npz import ARRAY, read_array
from .packing import BIT, TYPES, Packed

HEADER = "trace.json"
VERSION = 1

Populations = Iterable[tuple[str, Packed]]

# What zipfile, zlib, json and numpy raise on bytes that they did not write.
DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError),
    *(MemoryError, struct.error, zlib.error, zipfile.BadZipFile),
)


def write_trace(path: str | Path, about: Mapping[str, Any], populations: Populations) -> None:
    """Write a trace, whole or not at all. Raises TraceError unless `about` has plain values only."""
    try:
        json.dumps(about)
    except (TypeError, ValueError) as error:
        raise TraceError(f"{path}: what the trace is about cannot be written: {error}") from error

    def write(temporary: Path) -> None:
        declared = []
        with zipfile.ZipFile(temporary, "w") as archive:
            for number, (name, packed) in enumerate(populations):
                archive.writestr(str(number), packed.data)
                declared.append({"name": name, "shape": packed.shape, "type": packed.type})
            header = {"version": VERSION, "about": about, "populations": declared}
            archive.writestr(HEADER, json.dumps(header, indent=2))

    write_atomically(path, write)


@contextmanager
def open_trace(path: str | Path) -> Iterator[tuple[dict[str, Any], Populations]]:
    """What a trace was made of, and its populations in execution order, each read when it is asked for.

    The .npz files of version 0.1.0, and others with an array for each population, are read as well.
    Raises TraceError for a file that is missing, damaged or no trace, also where that shows as it is unpacked.
    """
    path = Path(path)
    try:
        _check_kind(path)
        with zipfile.ZipFile(path) as archive:
            yield _read(archive, path.stat().st_size)
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise TraceError(f"{path}: not a readable trace: {reason_of(error)}") from error


def _check_kind(path: Path) -> None:
    """A pipe would be waited for."""
    if path.is_dir():
        raise TraceError("is a folder; give the file of a trace")
    if not path.exists():
        raise TraceError("no such file")
    if not path.is_file():
        raise TraceError("not a regular file; give the file of a trace")


def _read(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, Any], Populations]:
    names = archive.namelist()
    if len(set(names)) < len(names) or sum(info.compress_size for info in archive.infolist()) > size:
        raise ValueError("members of the archive overlap")
    if HEADER in names:
        return _header(archive)
    if names and all(name.endswith(ARRAY) for name in names):
        return {}, ((name.removesuffix(ARRAY), Packed.of(name, read_array(archive, name))) for name in names)
    raise ValueError(f"it has no {HEADER}")


def _header(archive: zipfile.ZipFile) -> tuple[dict[str, Any], Populations]:
    header = json.loads(_member(archive, HEADER))
    version, about = header["version"], header["about"]
    if version != VERSION:
        raise TraceError(f"version {version} of the format of traces; {VERSION} is read here")
    if not isinstance(about, dict):
        raise ValueError(f"'about' is {about!r}, not a table")
    declared = [_declared(entry) for entry in header["populations"]]
    if len({name for name, _, _ in declared}) < len(declared):
        raise ValueError("two populations have the same name")
    if set(archive.namelist()) != {HEADER, *map(str, range(len(declared)))}:
        raise ValueError(f"{len(declared)} populations are declared, {len(archive.namelist()) - 1} are there")
    return about, (
        (name, Packed(shape, kind, _member(archive, str(number))))
        for number, (name, shape, kind) in enumerate(declared)
    )


def _declared(entry: dict[str, Any]) -> tuple[str, tuple[int, ...], str]:
    """Name, shape and type of a population."""
    name, shape, kind = entry["name"], entry["shape"], entry["type"]
    if not isinstance(name, str):
        raise ValueError(f"a population is called {name!r}")
    if not isinstance(shape, list) or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"population '{name}' has the shape {shape!r}")
    if not isinstance(kind, str) or not (kind == BIT or TYPES.fullmatch(kind)):
        raise ValueError(f"population '{name}' is of type {kind!r}")
    return name, tuple(shape), kind


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Stored as it is: a compressed member could be of any size."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"member {name} is compressed by the archive")
    return archive.read(info)
