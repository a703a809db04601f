"""Traces of large networks: one bit a spike, compressed, and on disk as soon as they exceed a limit of memory."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .file import open_trace
from .packing import Packed
from .spike_trace import SpikeTrace

MEGABYTE = 1_000_000


class PackedTrace(SpikeTrace):
    """A SpikeTrace that holds its values packed; each population is unpacked when asked for, as a new array.

    limit: megabytes of packed values kept in memory; what exceeds it goes to a temporary file. about: as in
    SpikeTrace. Raises InputError for a limit below 0.
    """

    _values: _PackedValues

    def __init__(self, limit: float | None = None, about: Mapping[str, Any] | None = None) -> None:
        if limit is not None and not limit >= 0:
            raise InputError(f"the limit of memory is {limit:g} MB; it must be at least 0")
        super().__init__(about=about)
        self._values = _PackedValues(_size_in_bytes(limit))

    @property
    def on_disk(self) -> bool:
        """Whether the packed values exceeded the limit."""
        return self._values.on_disk

    @classmethod
    def load(cls, path: str | Path, limit: float | None = None) -> PackedTrace:
        """Read what SpikeTrace.load reads, one population at a time. Raises as that does."""
        trace = cls(limit)
        with open_trace(path) as (about, populations):
            trace.about = about
            for name, packed in populations:
                packed.unpack()  # what cannot be unpacked is found now
                trace._values.keep(name, packed)
        return trace

    def _packed(self, name: str) -> Packed:
        return self._values.packed(name)


class _Place(NamedTuple):
    """Where in the store a population's packed values are."""

    start: int
    length: int
    shape: tuple[int, ...]
    type: str


class _PackedValues(MutableMapping[str, np.ndarray]):
    """Population name -> values, in a store that moves to disk at a size in bytes."""

    def __init__(self, size: int) -> None:
        self._places: dict[str, _Place] = {}
        self._store = tempfile.SpooledTemporaryFile(max_size=size)  # noqa: SIM115
        weakref.finalize(self, self._store.close)

    def keep(self, name: str, packed: Packed) -> None:
        start = self._store.seek(0, 2)
        self._store.write(packed.data)
        self._places[name] = _Place(start, len(packed.data), packed.shape, packed.type)

    def packed(self, name: str) -> Packed:
        place = self._places[name]
        self._store.seek(place.start)
        return Packed(place.shape, place.type, self._store.read(place.length))

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self.keep(name, Packed.of(name, values))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.packed(name).unpack()

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    @property
    def on_disk(self) -> bool:
        return self._store.name is not None


def _size_in_bytes(limit: float | None) -> int:
    """The size at which a SpooledTemporaryFile moves to disk: 0 would mean never."""
    return 0 if limit is None else max(1, round(limit * MEGABYTE))
