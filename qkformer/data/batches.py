"""Where batches of images come from: memory, a table, a stream. Each gives the same share of the same order."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .errors import DataError
from .preparation import Batch, Preparation
from .seeds import seed_of
from .share import Share, Shuffle, order_of

STREAM_PARTS = 256  # of a stream, at most, that are read in random order
SHUFFLE_BUFFER = 4096  # rows of a stream among which the next is drawn: half a GB of ImageNet's


class Split(Protocol):
    """Train or test images."""

    @property
    def size(self) -> int | None:
        """The number of images, or None where that takes reading them."""

    def batches(self, share: Share, shuffle: Shuffle | None, workers: int) -> Iterator[Batch]:
        """The share of this process, in the order of an epoch or, without a shuffle, as stored."""


class Memory:
    """A split that is decoded once."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels, self.size = images, labels, len(labels)

    def fingerprint(self) -> str:
        """SHA-256 of the decoded images and their labels."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for values in self.images, self.labels:
            digest.update(values.contiguous().numpy().data)
        return digest.hexdigest()

    def batches(self, share: Share, shuffle: Shuffle | None, workers: int) -> Iterator[Batch]:
        """See `Split`."""
        order = order_of(self.size, shuffle)
        for positions in share.positions(self.size):
            chosen = order[list(positions)]
            yield self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class Table:
    """A split read by index and decoded in the processes of a DataLoader."""

    rows: Any
    prepare: Preparation

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def batches(self, share: Share, shuffle: Shuffle | None, workers: int) -> Iterator[Batch]:
        """See `Split`."""
        own = torch.Generator()  # else a DataLoader draws from the global one, and what else is drawn would change
        batches = _TableBatches(self, order_of(self.size, shuffle), shuffle)
        sampler = share.positions(self.size)
        return iter(DataLoader(batches, batch_size=None, sampler=sampler, num_workers=workers, generator=own))


@dataclass(frozen=True)
class _TableBatches(Dataset[Batch]):
    """Places in an epoch's order to their batch."""

    table: Table
    order: Tensor
    shuffle: Shuffle | None

    def __getitem__(self, positions: range) -> Batch:
        rows = (self.table.rows[int(self.order[position])] for position in positions)
        return self.table.prepare.batch(rows, positions, self.shuffle)


@dataclass(frozen=True)
class Stream:
    """A split read once through, shuffled within a buffer. Every process reads all of it and decodes its share."""

    rows: Any
    size: int | None
    prepare: Preparation

    def batches(self, share: Share, shuffle: Shuffle | None, workers: int) -> Iterator[Batch]:
        """See `Split`."""
        rows = self.rows if shuffle is None else _shuffled(self.rows, random.Random(seed_of("order", *shuffle)))
        return _ahead(lambda work: self.prepare.batch(work[0], work[1], shuffle), self._shares(rows, share), workers)

    def _shares(self, rows: Iterable[Any], share: Share) -> Iterator[tuple[list[Any], range]]:
        """Rows of every batch that are this process's, with their places in the order."""
        first = share.start * share.batch_size
        left = islice(rows, first, None)
        if self.size is not None and first >= self.size:
            return  # resumed where an epoch ends
        is_last = False
        while not is_last:
            chunk = list(islice(left, share.batch_size))
            end, is_last = first + len(chunk), len(chunk) < share.batch_size
            if self.size is not None and (end > self.size or (is_last and end < self.size)):
                raise DataError(f"data {self.prepare.rows.name!r}: {end} images where {self.size} are announced")
            positions = range(first + share.rank, end, share.world)
            if positions and share.keeps(len(chunk)):
                yield chunk[share.rank :: share.world], positions
            first = end


def _shuffled(rows: Any, generator: random.Random) -> Iterator[Any]:
    """The files' parts of a stream in random order, each row then drawn from a buffer."""
    parts = min(rows.num_shards, STREAM_PARTS)
    order = generator.sample(range(parts), parts)
    buffer: list[Any] = []
    for row in chain.from_iterable(rows.shard(parts, part) for part in order):
        if len(buffer) < SHUFFLE_BUFFER:
            buffer.append(row)
        else:
            place = generator.randrange(SHUFFLE_BUFFER)
            yield buffer[place]
            buffer[place] = row
    generator.shuffle(buffer)
    yield from buffer


def _ahead(function: Callable[[Any], Batch], items: Iterator[Any], workers: int) -> Iterator[Batch]:
    """The map of `function` in order, computed ahead by threads (decoding lets other threads run)."""
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(function, item) for item in islice(items, 2 * workers))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))
