"""Random numbers for the images of a batch, the same on every device and for any number of processes."""

from __future__ import annotations

import torch
from torch import Tensor

from hardware.errors import InputError


class Draws:
    """Random numbers for `count` images, from a seed.

    They are drawn on the CPU for the global batch, so neither the device nor the number of processes changes what
    happens to an image; this process keeps those of entries rank::world.

    Args:
        seed: of the batch.
        count: images of this process.
        batch_size: images of the global batch; count * world if None.
        rank: this process.
        world: the number of processes.

    Raises:
        InputError: more images than a share of `batch_size`.
    """

    def __init__(self, seed: int, count: int, batch_size: int | None = None, rank: int = 0, world: int = 1) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.batch_size = batch_size or count * world
        self.own = slice(rank, rank + (count - 1) * world + 1, world)
        if self.own.stop > self.batch_size:
            raise InputError(f"{count} images for process {rank} of {world} are too many for batches of {batch_size}")

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """float32 [b, *shape] in [low, high)."""
        drawn = torch.rand(self.batch_size, *shape, generator=self.generator, dtype=torch.float32)[self.own]
        return low + (high - low) * drawn

    def normal(self, mean: float, deviation: float) -> Tensor:
        """float32 [b]."""
        drawn = torch.randn(self.batch_size, generator=self.generator, dtype=torch.float32)[self.own]
        return mean + deviation * drawn

    def below(self, bound: int, *shape: int) -> Tensor:
        """int64 [b, *shape] in 0 .. bound - 1."""
        return torch.randint(bound, (self.batch_size, *shape), generator=self.generator)[self.own]
