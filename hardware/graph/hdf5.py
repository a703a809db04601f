"""Is an HDF5 file what it may be? It may hold groups and arrays of its own, each once, no larger than it can be.

HDF5 follows links into other files, reads arrays from anywhere on the disk, and declares arrays of any size that were
never written. None of that is a NIR graph.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from ..errors import GraphError

DEFLATE_RATIO = 1032  # no byte of a deflated array holds more
ROOM = 1 << 16  # bytes of small arrays that need no storage of their own
LARGEST_GRAPH = 8 << 30  # bytes of all arrays together
DEEPEST = 64  # groups inside one another
MOST_OBJECTS = 1_000_000


def check_hdf5(path: Path) -> None:
    """Raise GraphError for links, external storage, cycles, and sizes beyond what the file or the limits hold."""
    with h5py.File(path, "r") as file:
        _Check(path).group(file, 0)


class _Check:
    def __init__(self, path: Path):
        self.path = path
        self.seen: set[int] = set()
        self.bytes = 0

    def group(self, group: h5py.Group, depth: int) -> None:
        if depth > DEEPEST:
            self.refuse(group.name, f"is {depth} groups deep; {DEEPEST} is the limit")
        for key in group:
            name = f"{group.name.rstrip('/')}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                self.refuse(name, "is a link to elsewhere")
            found = group[key]
            address = h5py.h5o.get_info(found.id).addr
            if address in self.seen:
                self.refuse(name, "is linked twice")
            self.seen.add(address)
            if len(self.seen) > MOST_OBJECTS:
                self.refuse(name, f"is one of more than {MOST_OBJECTS:,} objects")
            if isinstance(found, h5py.Group):
                self.group(found, depth + 1)
            elif isinstance(found, h5py.Dataset):
                self.dataset(name, found)

    def dataset(self, name: str, found: h5py.Dataset) -> None:
        if found.external or found.is_virtual:
            self.refuse(name, "is stored outside of the file")
        stored = found.id.get_storage_size()
        if found.nbytes > ROOM + DEFLATE_RATIO * stored:
            self.refuse(name, f"declares {found.nbytes:,} bytes, which its {stored:,} stored ones cannot hold")
        self.bytes += found.nbytes
        if self.bytes > LARGEST_GRAPH:
            self.refuse(name, f"takes the graph beyond {LARGEST_GRAPH >> 30} GiB")

    def refuse(self, name: str, why: str) -> None:
        raise GraphError(f"{self.path}: not a readable NIR file: {name} {why}")
