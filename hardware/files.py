"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 10.0  # seconds that a pipe may be without a reader


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Have `write` fill a temporary file, then move it into place; returns the path.

    An interruption at any moment leaves the old file, or none, but never half of one. A link is followed to its target;
    a file keeps its mode, and a new one has that of the umask. What is not a regular file (a device, a pipe) is not
    replaced but written to, when all is there to be written. Raises OSError, whose `filename` is the path unless the
    error names another.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; give the name of a file", str(path))
        if path.exists() and not path.is_file():
            _write_through(path, write)
        else:
            _replace(follow_links(path), write)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    return path


def follow_links(path: str | Path) -> Path:
    """Where a path leads, whether there is something or not. Raises OSError for links that lead round in a circle."""
    place = Path(os.path.realpath(path))
    if any(part.is_symlink() for part in (place, *place.parents)):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


def _replace(place: Path, write: Callable[[Path], object]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".whole-", suffix=".part", dir=place.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(_mode(place))
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _write_through(path: Path, write: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory(prefix="whole-") as folder:
        temporary = Path(folder) / "whole"
        write(temporary)
        with temporary.open("rb") as whole, os.fdopen(_open(path), "wb") as device:
            shutil.copyfileobj(whole, device)


def _open(path: Path) -> int:
    """Opened to be written to; a pipe whose reader does not come is an error instead of a wait without end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(path.stat().st_mode):
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "a pipe that nobody reads", str(path)) from None
            time.sleep(0.05)
        else:
            os.set_blocking(handle, True)
            return handle


def _mode(place: Path) -> int:
    """The mode of the file that is there, or what the umask leaves a new one."""
    if place.exists():
        return stat.S_IMODE(place.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
