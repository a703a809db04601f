"""Where batches of pictures come from: memory, a table, a stream. Each gives the same share of the same order."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .decode import as_mode, center_crop, pixels, random_resized_crop
from .seeds import seed_of
from .source import DataError, ImageSource

STREAM_PARTS = 256  # of a stream, at most, that are read in random order
SHUFFLE_BUFFER = 4096  # rows of a stream among which the next is drawn: half a GB of ImageNet's

Batch = tuple[Tensor, Tensor]  # images uint8 [b, C, H, W], labels int64 [b]
Epoch = tuple[int, int]  # seed of the run, number of the epoch; None where nothing is random


@dataclass(frozen=True)
class Share:
    """What one process of `world` takes of the global batches: entries rank::world, from batch `start` on."""

    batch_size: int
    start: int
    rank: int
    world: int
    least: int  # pictures for every process, or the last, smaller batch is dropped

    def __post_init__(self):
        if self.batch_size < self.world or self.world < 1:
            raise ValueError(
                f"batch_size is {self.batch_size}; it must be at least 1 for each of {self.world} processes"
            )
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank is {self.rank}; it must be from 0 to {self.world - 1}")
        if self.start < 0:
            raise ValueError(f"start is {self.start}; it must be at least 0")

    def keeps(self, count: int) -> bool:
        """Whether a batch of `count` pictures is used."""
        return count == self.batch_size or count // self.world >= self.least

    def count(self, size: int) -> int:
        """The number of batches of `size` pictures."""
        whole, rest = divmod(size, self.batch_size)
        return whole + (rest > 0 and self.keeps(rest))

    def positions(self, size: int) -> list[range]:
        """Of every batch of `size` pictures, the places in the epoch's order that are this process's."""
        starts = range(self.start * self.batch_size, self.count(size) * self.batch_size, self.batch_size)
        shares = (range(first + self.rank, min(first + self.batch_size, size), self.world) for first in starts)
        return [share for share in shares if share]


def order_of(size: int, epoch: Epoch | None) -> Tensor:
    """Indices int64 [size] in the order of an epoch: a permutation by (seed, epoch), or as they are stored."""
    if epoch is None:
        return torch.arange(size)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed_of("order", *epoch)))


class Memory:
    """A split that is decoded once."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images, self.labels, self.size = images, labels, len(labels)

    def fingerprint(self) -> str:
        """SHA-256 of the decoded pictures and their labels."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for values in self.images, self.labels:
            digest.update(values.contiguous().numpy())
        return digest.hexdigest()

    def batches(self, share: Share, epoch: Epoch | None, workers: int) -> Iterator[Batch]:
        """The share of this process, in the order of an epoch or, without one, as stored."""
        order = order_of(self.size, epoch)
        for positions in share.positions(self.size):
            chosen = order[list(positions)]
            yield self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class Preparation:
    """Rows to a batch: decoded, and cropped by a seed for the place in the epoch or, for testing, in the middle."""

    source: ImageSource
    channels: int
    image_size: int
    crops: bool  # or every picture is of image_size and taken as it is

    def pixels(self, row: dict[str, Any], seed: int | None) -> tuple[np.ndarray, int]:
        """uint8 [C, H, W] and label; without a seed, not at random."""
        picture, label = self.source.decode(row)
        picture = as_mode(picture, self.channels)
        if not self.crops and picture.size != (self.image_size, self.image_size):
            raise DataError(
                f"data {self.source.name!r} holds pictures of {picture.width}x{picture.height} among those of "
                f"{self.image_size}x{self.image_size}, which are taken as they are; bring all to one size"
            )
        if self.crops and seed is None:
            picture = center_crop(picture, self.image_size)
        elif self.crops:
            picture = random_resized_crop(picture, self.image_size, np.random.default_rng(seed))
        return pixels(picture), label

    def batch(self, rows: Iterable[dict[str, Any]], positions: range, epoch: Epoch | None) -> Batch:
        """A batch of rows that lie at `positions` of the order."""
        seeds = [None if epoch is None else seed_of("crop", *epoch, position) for position in positions]
        images, labels = zip(*map(self.pixels, rows, seeds), strict=True)
        return torch.from_numpy(np.stack(images)), torch.tensor(labels)


@dataclass(frozen=True)
class Table:
    """A split read by index and decoded in the processes of a DataLoader."""

    rows: Any
    prepare: Preparation

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def batches(self, share: Share, epoch: Epoch | None, workers: int) -> Iterator[Batch]:
        """The share of this process, in the order of an epoch or, without one, as stored."""
        own = torch.Generator()  # else a DataLoader draws from the global one, and what else is drawn would change
        batches = _TableBatches(self, order_of(self.size, epoch), epoch)
        sampler = share.positions(self.size)
        return iter(DataLoader(batches, batch_size=None, sampler=sampler, num_workers=workers, generator=own))


@dataclass(frozen=True)
class _TableBatches:
    """Places in an epoch's order to their batch."""

    table: Table
    order: Tensor
    epoch: Epoch | None

    def __getitem__(self, positions: range) -> Batch:
        rows = (self.table.rows[int(self.order[position])] for position in positions)
        return self.table.prepare.batch(rows, positions, self.epoch)


@dataclass(frozen=True)
class Stream:
    """A split read once through, shuffled within a buffer. Every process reads all of it and decodes its share."""

    rows: Any
    size: int | None
    prepare: Preparation

    def batches(self, share: Share, epoch: Epoch | None, workers: int) -> Iterator[Batch]:
        """The share of this process, in the order of an epoch or, without one, as stored."""
        rows = self.rows if epoch is None else _shuffled(self.rows, random.Random(seed_of("order", *epoch)))
        return _ahead(lambda work: self.prepare.batch(*work, epoch), self._shares(rows, share), workers)

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
                raise DataError(f"data {self.prepare.source.name!r}: {end} pictures where {self.size} are announced")
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
