"""HDF5 -> nested dictionaries of arrays and texts, if the file is what it may be.

It may hold groups and arrays of its own, each once, no larger than it can be. HDF5 follows links into other files,
reads arrays from anywhere on the disk, and declares arrays of any size that were never written. None of that is a NIR
graph.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np

from ..errors import GraphError

DEFLATE_RATIO = 1032  # no byte of a deflated array holds more
ROOM = 1 << 16  # bytes of small arrays that need no storage of their own
LARGEST_GRAPH = 8 << 30  # bytes of all arrays together
LARGEST_TEXTS = 1 << 26  # bytes of all texts together
DEEPEST = 64  # groups inside one another
MOST_OBJECTS = 1_000_000
NUMBERS = "biuf"

HEAP = b"GCOL\x01\0\0\0"  # a collection of the global heap, where HDF5 keeps texts
Contents = dict[str, Any]


def read_hdf5(path: Path) -> Contents:
    """What the file holds: groups are dictionaries, texts str, everything else numbers or arrays of them.

    Raises GraphError for links, external storage, cycles, types that are neither numbers nor texts, and sizes beyond
    what the file or the limits hold, each before it is followed or read; what h5py raises where the file is damaged.
    """
    with h5py.File(path, "r") as file:
        _check_heaps(path)
        return _Reader(path).group(file, 0)


def _check_heaps(path: Path) -> None:
    """Raise GraphError for a heap of texts whose entries lead nowhere: HDF5 (1.14) would walk it without end.

    HDF5's file format, III.E: a collection is its signature, version and size, and then objects, each an index, a count
    and a size, up to the one of index 0, which is free space and includes its head.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        start = contents.find(HEAP)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", contents[start + 8 : start + 16].ljust(8, b"\0"))
            place, end = start + 16, min(start + size, len(contents))
            while place + 16 <= end:
                index, length = struct.unpack_from("<H6xQ", contents, place)
                taken = 16 + -(-length // 8) * 8 if index else length
                if not 16 <= taken <= end - place:
                    raise GraphError(f"not a readable NIR file: its texts are damaged at byte {place:,}")
                place += taken
            start = contents.find(HEAP, start + len(HEAP))


class _Reader:
    def __init__(self, path: Path):
        self.size = path.stat().st_size
        self.seen: set[int] = set()
        self.bytes = 0
        self.characters = 0

    def group(self, group: h5py.Group, depth: int) -> Contents:
        if depth > DEEPEST:
            self.refuse(group.name, f"is {depth} groups deep; {DEEPEST} is the limit")
        found: Contents = {}
        for key in group:
            name = f"{group.name.rstrip('/')}/{key}"
            if (readable := name.encode(errors="replace").decode()) != name:
                self.refuse(readable, "has a name that is not UTF-8")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                self.refuse(name, "is a link to elsewhere")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in self.seen:
                self.refuse(name, "is linked twice")
            self.seen.add(address)
            if len(self.seen) > MOST_OBJECTS:
                self.refuse(name, f"is one of more than {MOST_OBJECTS:,} objects")
            if isinstance(item, h5py.Group):
                found[key] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[key] = self.dataset(name, item)
            else:
                self.refuse(name, "is neither a group nor an array")
        return found

    def dataset(self, name: str, found: h5py.Dataset) -> Any:
        if found.external or found.is_virtual:
            self.refuse(name, "is stored outside of the file")
        if found.shape is None:
            self.refuse(name, "is empty; it has no value")
        stored = found.id.get_storage_size()
        if found.nbytes > ROOM + DEFLATE_RATIO * stored:
            self.refuse(name, f"declares {found.nbytes:,} bytes, which its {stored:,} stored ones cannot hold")
        self.bytes += found.nbytes
        if self.bytes > LARGEST_GRAPH:
            self.refuse(name, f"takes the graph beyond {LARGEST_GRAPH >> 30} GiB")
        if h5py.check_string_dtype(found.dtype):
            return self.texts(name, found)
        if found.dtype.kind not in NUMBERS:
            self.refuse(name, f"is of type {found.dtype}; numbers and texts can be read")
        return found[()]

    def texts(self, name: str, found: h5py.Dataset) -> Any:
        """A text, or an array of them, read piece by piece: all of them may be the one long text of the file."""
        if found.ndim > 2 or (found.ndim == 2 and found.shape[1] > 2):
            self.refuse(name, f"is a table of texts of shape {found.shape}; one text, a list or pairs can be read")
        if found.shape == ():
            return self.text(name, found[()])
        values, step = np.empty(found.shape, object), max(1, LARGEST_TEXTS // (2 * self.size))
        for start in range(0, len(found), step):
            piece = values[start : start + step]
            for place, value in np.ndenumerate(found[start : start + step]):
                piece[place] = self.text(name, value)
        return values

    def text(self, name: str, value: bytes) -> str:
        self.characters += len(value)
        if self.characters > LARGEST_TEXTS:
            self.refuse(name, f"takes the texts beyond {LARGEST_TEXTS >> 20} MiB")
        try:
            return value.decode()
        except UnicodeDecodeError:
            self.refuse(name, f"holds {value[:20]!r}, which is not UTF-8")

    def refuse(self, name: str, why: str) -> NoReturn:
        raise GraphError(f"not a readable NIR file: {name} {why}")
