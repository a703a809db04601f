"""Disks that are full: which one it was, and files that take their whole room at once."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...errors import TargetError

SHARED_MEMORY = Path("/dev/shm")  # where Lava's processes exchange messages
FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE = os.strerror(errno.ENOSPC)
NUMPY_WROTE_LESS = " requested and "  # its OSError for a full disk has no number


def fullest() -> str:
    """Of the places that a run writes to, the one with the least room, in words."""
    temporary = Path(tempfile.gettempdir())
    free = {place: _free(place) for place in (SHARED_MEMORY, temporary)}
    place = min(free, key=free.__getitem__)
    remedy = "make it larger, or take fewer sections" if place == SHARED_MEMORY else "set TMPDIR to a larger one"
    return f"only {free[place]:,} bytes free in {place}: {remedy}"


def _free(place: Path) -> int:
    try:
        found = os.statvfs(place)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize if found.f_favail or not found.f_files else 0


def with_cause(summary: str) -> str:
    """What a process failed of, and what may have been the cause."""
    if NO_SPACE in summary:
        return f"{summary}; {fullest()}"
    if signal.SIGBUS.name in summary:
        return f"{summary} (a full disk? {fullest()})"
    return f"{summary} (is memory short?)" if signal.SIGKILL.name in summary else summary


@contextmanager
def naming_the_full() -> Iterator[None]:
    """What fails for want of room names the place."""
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and tempfile.gettempdir() not in str(error.filename)
        if elsewhere or not (error.errno in FULL or NUMPY_WROTE_LESS in str(error)):
            raise
        raise TargetError(f"{NO_SPACE}: {fullest()}") from error


def whole_memmap(path: str | Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """An .npy file of zeros, mapped for writing, that holds its room from the start.

    A file with holes finds the disk full while it is written to, by SIGBUS, hours later.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, os.fstat(file.fileno()).st_size))
    return array
