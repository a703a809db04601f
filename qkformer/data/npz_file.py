"""Arrays of an .npz file, of which the first entries are read without the rest."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .foreign import naming

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
TYPES = {"i": "integers", "u": "integers", "f": "floats"}  # by NumPy's kind of type
LARGEST_ARRAY = 2**30  # bytes that are taken into memory of one array
NAMES_SHOWN = 8


def array_names(path: Path) -> list[str]:
    """The names of the arrays of a file.

    Raises:
        DataError: no such file, or not an .npz file.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: is a folder, a device or a pipe; an .npz file is needed")
    with _reading(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def list_names(names: Sequence[str]) -> str:
    """What a file has, for an error."""
    shown = ", ".join(names[:NAMES_SHOWN]) or "no arrays"
    return shown + (f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else "")


def read_array(path: Path, name: str, count: int | None = None) -> tuple[NDArray[Any], tuple[int, ...]]:
    """The first `count` entries of an array of numbers (all if None), and the shape of the whole.

    Nothing behind the last entry is read, but of an array that lies in memory by columns, which is read whole. What the
    header declares is held against the size of the file and the limit of 1 GiB before memory is taken.

    Raises:
        DataError: a damaged file, an array of other things than integers or floats, one without entries, or too large.
    """
    with _reading(path), zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        held = archive.getinfo(f"{name}.npy").file_size
        shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(member)](member)
        _check_declared(path, name, shape, dtype, held - member.tell())
        taken = shape if count is None or by_columns else (min(count, shape[0]), *shape[1:])
        size = math.prod(taken)
        if size * dtype.itemsize > LARGEST_ARRAY:
            raise DataError(
                f"{path}: {name!r}, {list(taken)} of {dtype}, takes {size * dtype.itemsize:,} bytes of memory; "
                f"at most {LARGEST_ARRAY:,} are possible: take fewer images, or smaller ones"
            )
        content = member.read(size * dtype.itemsize)
        values = np.frombuffer(content, dtype, size).reshape(taken, order="F" if by_columns else "C")
        return values[:count], shape


def _check_declared(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> None:
    if dtype.kind not in TYPES:
        needed = " or ".join(dict.fromkeys(TYPES.values()))
        raise DataError(f"{path}: {name!r} is of type {dtype}; {needed} are needed")
    if not shape or min(shape) < 1 or not all(type(length) is int for length in shape):
        raise DataError(f"{path}: {name!r} has shape {list(shape)}; at least one entry is needed")
    if math.prod(shape) * dtype.itemsize > held:
        raise DataError(
            f"{path}: {name!r} declares {list(shape)} of {dtype}, {math.prod(shape) * dtype.itemsize:,} bytes, and "
            f"holds {held:,}: a damaged file"
        )


def _reading(path: Path) -> AbstractContextManager[None]:
    return naming(f"{path}: not a readable .npz file")
