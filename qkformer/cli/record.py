"""The record of what was run: command, versions, results; and whether it can be written."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hardware.errors import InputError
from hardware.files import write_atomically
from hardware.targets.registry import all_targets

from ..checkpoints import versions as basic


def check_writable(*files: Path | None, reads: Iterable[str | Path | None] = ()) -> None:
    """Make the folders of files to be written; OSError now, not after minutes, where one cannot be written.

    Raises InputError for a file that is to be written twice, or that is among what the command reads.
    """
    wanted = [file for file in files if file is not None]
    read = {Path(path).resolve() for path in reads if path and Path(path).exists()}
    written: set[Path] = set()
    for file in wanted:
        place = file.resolve()
        if place in read:
            raise InputError(f"{file}: is what the command reads; give its output another name")
        if place in written and place.name != "null":
            raise InputError(f"{file}: is named for two outputs; give each a name of its own")
        written.add(place)
    for file in wanted:
        if file.parent.is_file():
            raise NotADirectoryError(f"{file.parent}: is a file, not a folder to write {file.name} in")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(f"{file}: is a folder; give the name of a file")
        if not os.access(file.parent, os.W_OK):
            raise PermissionError(f"{file.parent}: this folder cannot be written to; choose another")


def versions() -> dict[str, str]:
    """The versions that results depend on, those of the targets included."""
    found = basic.versions()
    for target in all_targets().values():
        for package in getattr(target, "packages", ()):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "not installed"
    return found


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["qkformer", *sys.argv[1:]])


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    """Write a command's result with its versions and command line, if a file was asked for."""
    if path:
        text = json.dumps({"command": command_line(), "versions": versions(), **result}, indent=2) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text))
