"""The values of one population as compressed bytes, one bit a spike."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import TraceError

BIT = "bit"
TYPES = re.compile(r"[<>|]([iu][1248]|f[248])")  # as numpy.dtype.str: integers and floats
EXPANSION = 1032  # the most bytes that deflate makes of one; https://zlib.net/zlib_tech.html


@dataclass(frozen=True)
class Packed:
    """Values of a shape and a type, "bit" for zeros and ones or a dtype's name such as "<i4"; data: compressed."""

    shape: tuple[int, ...]
    type: str
    data: bytes

    @classmethod
    def of(cls, name: str, values: np.ndarray) -> Packed:
        """Pack values of a population; bool and int8 of 0 and 1 take one bit each, and come back as int8.

        Raises TraceError for values that are neither integers nor floats.
        """
        values = np.asarray(values)
        binary = values.dtype == bool or (values.dtype == np.int8 and not np.any(values & ~1))
        if not (binary or TYPES.fullmatch(values.dtype.str)):
            raise TraceError(f"population '{name}' is of type {values.dtype}; integers or floats are needed")
        raw = np.packbits(values.astype(bool)) if binary else np.ascontiguousarray(values)
        return cls(values.shape, BIT if binary else values.dtype.str, zlib.compress(raw.tobytes(), level=1))

    def unpack(self) -> np.ndarray:
        """The values. Raises ValueError, before memory is taken for them, if the data cannot hold as many."""
        count = math.prod(self.shape)
        size = (count + 7) // 8 if self.type == BIT else count * np.dtype(self.type).itemsize
        check_size(size, len(self.data))
        decompressor = zlib.decompressobj()
        raw = decompressor.decompress(self.data, max_length=size + 1)
        if len(raw) != size or not decompressor.eof or decompressor.unused_data:
            raise ValueError(f"{size:,} bytes are declared, but not in the file")
        if self.type != BIT:
            return np.frombuffer(raw, self.type).reshape(self.shape).copy()
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=count).reshape(self.shape).view(np.int8)


def check_size(size: int, compressed: int) -> None:
    """Raise ValueError if a number of bytes cannot be what so many compressed ones hold."""
    if size > EXPANSION * compressed:
        raise ValueError(f"{size:,} bytes are declared; {compressed:,} compressed ones cannot hold them")
