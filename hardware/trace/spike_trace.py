"""What a network did: population name -> integer array [T, B, ...]."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import TraceError
from ..files import write_atomically


class SpikeTrace(dict[str, np.ndarray]):
    """Population name -> whole numbers [T, B, ...], in execution order.

    Spiking populations hold 0 and 1; "output" holds the head's sums, [T, B, classes].
    """

    def save(self, path: str | Path) -> None:
        """Write a compressed .npz, whole or not at all."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **self)

        write_atomically(path, write)

    @classmethod
    def load(cls, path: str | Path) -> SpikeTrace:
        """Read a trace written by `save`. Raises TraceError for a missing or damaged file."""
        path = Path(path)
        if not path.is_file():
            raise TraceError(f"{path}: no such file")
        try:
            with path.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                return cls({name: archive[name] for name in archive.files})
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
            raise TraceError(f"{path}: not a readable trace: {error}") from error
