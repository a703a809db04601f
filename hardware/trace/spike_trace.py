"""What a network did: population name -> integers [T, B, ...], in memory and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from .file import open_trace, write_trace
from .packing import Packed


class SpikeTrace(MutableMapping[str, np.ndarray]):
    """Population name -> integers [T, B, ...], in execution order.

    Spiking populations hold 0 and 1; "output" holds the head's sums, [T, B, classes], which a target of floating point
    gives as floats. about: plain values that say what the trace was made of, such as fingerprints of graph and inputs.
    """

    _values: MutableMapping[str, np.ndarray]

    def __init__(
        self,
        populations: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]] = (),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.about: dict[str, Any] = dict(about or {})
        self._values = dict(populations)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._values[name]

    def __setitem__(self, name: str, values: np.ndarray) -> None:
        self._values[name] = values

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __or__(self, other: Mapping[str, np.ndarray]) -> SpikeTrace:
        return SpikeTrace({**self, **other}, self.about)

    def __ior__(self, other: Mapping[str, np.ndarray]) -> SpikeTrace:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"

    def save(self, path: str | Path) -> None:
        """Write a file that `load` reads, whole or not at all; one bit a spike, compressed.

        bool comes back as int8. Raises TraceError for values that are neither integers nor floats.
        """
        write_trace(path, self.about, ((name, self._packed(name)) for name in self))

    @classmethod
    def load(cls, path: str | Path) -> SpikeTrace:
        """Read a file written by `save`, or an .npz with an array for each population, as version 0.1.0 wrote.

        Raises TraceError for a file that is missing, damaged or no trace.
        """
        with open_trace(path) as (about, populations):
            return cls({name: packed.unpack() for name, packed in populations}, about)

    def _packed(self, name: str) -> Packed:
        return Packed.of(name, self[name])
