"""Arrays of an .npz file, of which the first entries are read without the rest."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DAMAGE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def array_names(path: Path) -> list[str]:
    """The names of the arrays of a file.

    Raises:
        DataError: no such file, or not an .npz file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except DAMAGE as error:
        raise _damaged(path, error) from error


def read_array(path: Path, name: str, count: int | None = None) -> tuple[NDArray[Any], tuple[int, ...]]:
    """The first `count` entries of an array (all if None), and the shape of the whole.

    An array that lies in memory by columns is read whole; of others nothing behind the last entry.

    Raises:
        DataError: a damaged file, or an array of objects.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(member)](member)
            if by_columns or dtype.hasobject or not shape:
                with np.load(path, allow_pickle=False) as arrays:
                    whole = arrays[name]
                return (whole[:count] if shape else whole), shape
            entries = shape[0] if count is None else min(count, shape[0])
            size = entries * math.prod(shape[1:])
            content = member.read(size * dtype.itemsize)
            return np.frombuffer(content, dtype, size).reshape(entries, *shape[1:]), shape
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a readable .npz file: {error}")
