"""What other people's readers raise on damaged files: any exception at all. Here each becomes one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hardware.errors import UserError
from hardware.printable import reason_of

from .errors import DataError


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Raise DataError, which says what could not be read, for whatever a foreign reader raises within.

    Decoders of pictures and tables raise every kind there is on hostile bytes, so no list of kinds is whole.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise DataError(f"{what}: {reason_of(error)}") from error


@dataclass(frozen=True)
class Rows:
    """Rows of `datasets`, whose every failure names the data."""

    rows: Any
    what: str

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with naming(self.what):
            yield from self.rows

    def __getitem__(self, index: int) -> dict[str, Any]:
        with naming(self.what):
            row: dict[str, Any] = self.rows[index]
            return row

    @property
    def num_shards(self) -> int:
        """In how many parts a stream can be read."""
        return int(self.rows.num_shards)

    def shard(self, count: int, index: int) -> Rows:
        """One part of a stream."""
        return Rows(self.rows.shard(count, index), self.what)
