"""Which images a process takes, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hardware.errors import InputError

from .seeds import seed_of

Shuffle = tuple[int, int]  # seed of the run, number of the epoch: what decides an order; None where nothing is random


@dataclass(frozen=True)
class Share:
    """What one process of `world` takes of the global batches: entries rank::world, from batch `start` on.

    Raises:
        InputError: fewer images in a batch than processes, or a rank or start out of range.
    """

    batch_size: int
    start: int
    rank: int
    world: int
    least: int  # images for every process, or the last, smaller batch is dropped

    def __post_init__(self) -> None:
        if self.batch_size < self.world or self.world < 1:
            raise InputError(
                f"batch_size is {self.batch_size}; it must be at least 1 for each of {self.world} processes"
            )
        if not 0 <= self.rank < self.world:
            raise InputError(f"rank is {self.rank}; it must be from 0 to {self.world - 1}")
        if self.start < 0:
            raise InputError(f"start is {self.start}; it must be at least 0")

    def keeps(self, count: int) -> bool:
        """Whether a batch of `count` images is used."""
        return count == self.batch_size or count // self.world >= self.least

    def count(self, size: int) -> int:
        """The number of batches of `size` images."""
        whole, rest = divmod(size, self.batch_size)
        return whole + (rest > 0 and self.keeps(rest))

    def positions(self, size: int) -> list[range]:
        """Of every batch of `size` images, the places in the epoch's order that are this process's."""
        starts = range(self.start * self.batch_size, self.count(size) * self.batch_size, self.batch_size)
        shares = (range(first + self.rank, min(first + self.batch_size, size), self.world) for first in starts)
        return [share for share in shares if share]


def order_of(size: int, shuffle: Shuffle | None) -> Tensor:
    """Indices int64 [size] in the order of an epoch, a permutation; without a shuffle as they are stored."""
    if shuffle is None:
        return torch.arange(size)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed_of("order", *shuffle)))
