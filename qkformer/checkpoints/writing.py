"""Files that are whole or not there, and a full disk as the OSError that it is, with the name of the file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import torch

from hardware.files import write_atomically


def write_whole(path: str | Path, write: Callable[[Path], object]) -> Path:
    """As `write_atomically`; an OSError also where safetensors says in its own words what the system said.

    Raises:
        OSError: the disk is full, or the like. What was at the path is still there.
    """
    try:
        return write_atomically(path, write)
    except safetensors.SafetensorError as error:
        if not (number := re.search(r"os error (\d+)", str(error))):
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def write_pickle(path: Path, contents: Any) -> None:
    """What torch.save writes, whole or not at all.

    Raises:
        OSError: as `write_whole`.
    """
    write_whole(path, lambda temporary: _save(contents, temporary))


def _save(contents: Any, path: Path) -> None:
    with path.open("wb", buffering=0) as raw, _Remembering(raw) as file:
        try:
            torch.save(contents, file)
        except RuntimeError as error:  # PyTorch speaks of positions that it did not expect
            raise (file.failure or error) from error


class _Remembering(io.BufferedWriter):
    failure: OSError | None = None

    def write(self, buffer: Any, /) -> int:
        try:
            return super().write(buffer)
        except OSError as error:
            self.failure = error
            raise
