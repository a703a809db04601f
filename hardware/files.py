"""Files that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Have `write` fill a temporary file, then move it into place; returns the path.

    An interruption at any moment leaves the old file, or none, but never half of one. A link is followed to its target;
    a file keeps its mode, and a new one has that of the umask. What is not a regular file (a device, a pipe) is not
    replaced but written to, when all is there to be written. Raises OSError, which names the path.
    """
    path = Path(path)
    try:
        return _write(path, write)
    except OSError as error:
        if error.errno is not None:  # not the name of a temporary file, nor none, as where a disk is full
            error.filename, error.filename2 = str(path), None
        raise


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    place = path.resolve()
    if place.exists() and not place.is_file():
        if place.is_dir():
            raise IsADirectoryError(f"{path}: is a folder; give the name of a file")
        return _write_through(path, write)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(_mode(place))
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write_through(path: Path, write: Callable[[Path], object]) -> Path:
    with tempfile.TemporaryDirectory(prefix="whole-") as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        with temporary.open("rb") as whole, path.open("wb") as device:
            shutil.copyfileobj(whole, device)
    return path


def _mode(place: Path) -> int:
    """The mode of the file that is there, or what the umask leaves a new one."""
    if place.exists():
        return stat.S_IMODE(place.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
