"""Arrays of .npz files: the traces of version 0.1.0, and what others write with numpy.savez."""

from __future__ import annotations

import math
import warnings
import zipfile
from typing import IO, Any

import numpy as np

from .packing import TYPES, check_size

ARRAY = ".npy"
FORMATS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _header(member: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type. Raises ValueError, whatever numpy makes of a header that it did not write."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in FORMATS:
            raise ValueError(f"version {version} of the .npy format")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, columns_first, dtype = FORMATS[version](file)
    except Exception as error:  # also those of Python's tokenizer
        raise ValueError(f"'{member}' is not an array: {error}") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"'{member}' has the shape {shape}")
    return shape, columns_first, dtype


def read_array(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    """One array of integers or floats. numpy.load would take memory before it looks whether the values are there.

    Raises ValueError for objects, which would have to be unpickled, and for a damaged array.
    """
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"'{member}' is compressed in a way that numpy does not write")
    with archive.open(info) as file:
        shape, columns_first, dtype = _header(member, file)
        if not (dtype.kind == "b" or TYPES.fullmatch(dtype.str)):
            raise ValueError(f"'{member}' is of type {dtype}; integers or floats are needed")
        size = math.prod(shape) * dtype.itemsize
        check_size(size, info.compress_size)
        data = file.read(size + 1)
    if len(data) != size:
        raise ValueError(f"'{member}' declares {size:,} bytes, which are not in the file")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")
