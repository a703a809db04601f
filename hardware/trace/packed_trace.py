"""Traces of large networks: one bit a spike, compressed, and on disk as soon as they exceed a limit of memory.

A file of packed traces is a zip archive: trace.json names the populations with their shapes and types, and what the
trace was made of; 0, 1, 2, ... are their values. Populations are read one at a time.
"""

from __future__ import annotations

import json
import math
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically
from .spike_trace import TraceError

MEGABYTE = 1_000_000
HEADER = "trace.json"
VERSION = 1
BIT = "bit"


@dataclass(frozen=True)
class _Format:
    """How a population is stored: its name, its shape and its type, "bit" for zeros and ones."""

    name: str
    shape: tuple[int, ...]
    type: str

    def pack(self, values: np.ndarray) -> bytes:
        packed = np.packbits(values.astype(bool)) if self.type == BIT else np.ascontiguousarray(values)
        return zlib.compress(packed.tobytes(), level=1)

    def unpack(self, data: bytes) -> np.ndarray:
        raw = zlib.decompress(data)
        if self.type != BIT:
            return np.frombuffer(raw, self.type).reshape(self.shape).copy()
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=math.prod(self.shape))
        return bits.reshape(self.shape).view(np.int8)


class PackedTrace(MutableMapping[str, np.ndarray]):
    """Population name -> whole numbers [T, B, ...], as SpikeTrace, held packed and unpacked when asked for.

    limit: megabytes of packed values kept in memory; what exceeds it goes to a temporary file. about: plain values
    that say what the trace was made of. Raises ValueError for a limit below 0.
    """

    def __init__(self, limit: float | None = None, about: Mapping[str, Any] | None = None):
        if limit is not None and not limit >= 0:
            raise ValueError(f"the limit of memory is {limit:g} MB; it must be at least 0")
        self.about = dict(about or {})
        self._formats: dict[str, _Format] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._store = tempfile.SpooledTemporaryFile(max_size=_whole_bytes(limit))  # noqa: SIM115
        weakref.finalize(self, self._store.close)

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        values = np.asarray(values)
        binary = values.dtype == bool or (values.dtype == np.int8 and not np.any(values & ~1))
        form = _Format(name, values.shape, BIT if binary else values.dtype.str)
        data = form.pack(values)
        start = self._store.seek(0, 2)
        self._store.write(data)
        self._formats[name], self._places[name] = form, (start, len(data))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._formats[name].unpack(self._data(name))

    def __delitem__(self, name: str) -> None:
        del self._formats[name], self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._formats)

    def __len__(self) -> int:
        return len(self._formats)

    @property
    def on_disk(self) -> bool:
        """Whether the packed values exceeded the limit."""
        return self._store.name is not None

    def save(self, path: str | Path) -> None:
        """Write a file of packed traces, whole or not at all."""
        header = {
            "version": VERSION,
            "about": self.about,
            "populations": [asdict(form) for form in self._formats.values()],
        }

        def write(temporary: Path) -> None:
            with zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr(HEADER, json.dumps(header, indent=2))
                for number, name in enumerate(self._formats):
                    archive.writestr(str(number), self._data(name))

        write_atomically(path, write)

    @classmethod
    def load(cls, path: str | Path, limit: float | None = None) -> PackedTrace:
        """Read a file written by `save`. Raises TraceError for a missing or damaged file."""
        path = Path(path)
        if not path.is_file():
            raise TraceError(f"{path}: no such file")
        try:
            with zipfile.ZipFile(path) as archive:
                header = json.loads(archive.read(HEADER))
                if header["version"] != VERSION:
                    raise TraceError(f"{path}: version {header['version']} of the format; {VERSION} is read here")
                trace = cls(limit, header["about"])
                for number, entry in enumerate(header["populations"]):
                    form = _Format(entry["name"], tuple(entry["shape"]), entry["type"])
                    trace[form.name] = form.unpack(archive.read(str(number)))
        except TraceError:
            raise
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise TraceError(f"{path}: not a readable packed trace: {error}") from error
        return trace

    def _data(self, name: str) -> bytes:
        start, length = self._places[name]
        self._store.seek(start)
        return self._store.read(length)


def _whole_bytes(limit: float | None) -> int:
    """The size at which a SpooledTemporaryFile moves to disk: 0 would mean never."""
    return 0 if limit is None else max(1, round(limit * MEGABYTE))
