"""Folders of results that are replaced whole, and only where every file in them is known to be ours."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError

MARK = ".written-by-qkformer.json"  # lists every file that was written beside it


def check_owned(folder: str | Path) -> None:
    """Raise InputError if there is anything at a folder's place that `replace_owned` did not write."""
    if stranger := _stranger(Path(folder)):
        raise InputError(
            f"{stranger}: was not written by qkformer, which would delete it with the rest of {Path(folder).name}/; "
            "move it away, or choose another folder for the results"
        )


def replace_owned(folder: str | Path, fill: Callable[[Path], object]) -> Path:
    """Have `fill` write into an empty folder, then move it into place, and what was ours there away; returns the path.

    An interruption leaves the old folder or the new one. Modes are those of the umask.

    Raises:
        InputError: something at the folder's place is not ours.
    """
    folder = Path(folder)
    check_owned(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".whole-", dir=folder.parent) as name:
        fresh = Path(name) / folder.name
        fresh.mkdir()
        fill(fresh)
        (fresh / MARK).write_text(json.dumps(sorted(_files(fresh)), indent=2) + "\n")
        _move_away(folder, Path(name))
        fresh.rename(folder)
    return folder


def remove_owned(folder: str | Path) -> None:
    """Remove a folder that `replace_owned` wrote; one that holds anything else is left as it is."""
    folder = Path(folder)
    if folder.is_dir() and _stranger(folder) is None:
        with tempfile.TemporaryDirectory(prefix=".whole-", dir=folder.parent) as name:
            _move_away(folder, Path(name))


def _move_away(folder: Path, where: Path) -> None:
    if folder.exists():
        check_owned(folder)  # again: writing the new one may have taken a while
        folder.rename(where / "old")


def _stranger(folder: Path) -> Path | None:
    """The first file in a folder that is not on its list; the folder itself if it is none."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return folder
    listed = _listed(folder / MARK)
    return next((folder / file for file in _files(folder) if file not in listed), None)


def _listed(mark: Path) -> set[str]:
    try:
        files = json.loads(mark.read_text()) if mark.is_file() and not mark.is_symlink() else []
    except (OSError, ValueError, RecursionError):
        return set()
    return {MARK, *map(str, files)} if isinstance(files, list) and files else set()


def _files(folder: Path) -> Iterator[str]:
    """What lies in a folder and below, links included, but for what Python itself writes there."""
    for place, folders, files in os.walk(folder):
        if Path(place).name == "__pycache__":
            files = [file for file in files if not file.endswith(".pyc")]
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name).relative_to(folder).as_posix() for name in (*files, *links))
