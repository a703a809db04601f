"""What a command is to write: whether it can, and whether anything would be lost by it, before any work is done."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hardware.errors import InputError
from hardware.files import follow_links

PRINTED = (1, 2)  # standard output and standard error
DATA = {".parquet", ".csv", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}  # read from a folder
METADATA = "metadata.jsonl"  # beside images


def check_writable(
    *files: Path | None, reads: Iterable[str | Path | None] = (), folders: Iterable[Path | None] = ()
) -> None:
    """Raise OSError now, not after minutes, where a file cannot be written. Nothing is made or changed.

    reads: files and folders that the command reads; what is not there is no file (`digits`, say). folders: what the
    command fills with files of its own.

    Raises:
        InputError: a file that is among what is read (by another name, too), that would be data of a folder that is
            read, that is to be written twice, or that is where the command prints; or an input in a folder that is to
            be filled.
    """
    outputs = [file for file in files if file is not None]
    filled = [folder for folder in folders if folder is not None]
    inputs = [found for path in reads if path and os.path.lexists(found := os.path.expanduser(path))]
    for output in outputs:
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; give the name of a file", str(output))
    for output in (*outputs, *filled):
        for source in inputs:
            _check_apart(output, Path(source), fills=output in filled)
    for number, output in enumerate(outputs):
        for other in (*outputs[:number], *filled):
            _check_two(output, other)
    for output in outputs:
        _check_file(output)
    for folder in filled:
        _check_folder(follow_links(folder))


def _check_apart(output: Path, source: Path, fills: bool) -> None:
    place, read = follow_links(output), follow_links(source)
    if place == read or (output.is_file() and source.is_file() and os.path.samefile(output, source)):
        if not _is_special(output):
            raise InputError(f"{output}: is what the command reads; give its output another name")
    elif read.is_dir() and read in place.parents and _is_data(place):
        raise InputError(f"{output}: lies in {source}, which the command reads; give its output another place")
    elif fills and place in read.parents:
        raise InputError(f"{source}: lies in {output}, which the command fills; give its output another place")


def _check_two(output: Path, other: Path) -> None:
    place, taken = follow_links(output), follow_links(other)
    if place == taken and not _is_special(output):
        raise InputError(f"{output}: is named for two outputs; give each a name of its own")
    for inner, outer in (output, other), (other, output):
        if follow_links(outer) in follow_links(inner).parents:
            raise InputError(f"{inner}: lies in {outer}, another output; give each a place of its own")


def _check_file(file: Path) -> None:
    if _is_special(file):
        return
    place = follow_links(file)
    for number in PRINTED:
        if file.exists() and _is_printed_to(place, number):
            raise InputError(f"{file}: is where the command prints; give the name of another file")
    if place.exists() and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "is write-protected; choose another name", str(file))
    _check_folder(place.parent)


def _check_folder(folder: Path) -> None:
    """Try it where the folder is, or is to be made: permissions do not say all that a file system may refuse."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder to write in", str(there))
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        reason = f"this folder cannot be written to ({error.strerror}); choose another"
        raise PermissionError(errno.EACCES, reason, str(there)) from error


def _is_data(place: Path) -> bool:
    return place.suffix.lower() in DATA or place.name == METADATA


def _is_special(file: Path) -> bool:
    """Whether it is a device, a pipe or a socket, which is written to and not replaced."""
    return file.exists() and not file.is_file() and not file.is_dir()


def _is_printed_to(place: Path, number: int) -> bool:
    try:
        printed = os.fstat(number)
    except OSError:  # it is closed
        return False
    return stat.S_ISREG(printed.st_mode) and os.path.samestat(place.stat(), printed)
