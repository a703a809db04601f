"""Batches of images in an order that a seed decides, shared out over processes, begun anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .batches import Split
from .errors import DataError
from .preparation import Batch
from .share import Share

LEAST_SHARE = 2  # images of an epoch's last batch for each process: BatchNorm needs more than one


class ImageData:
    """Train and test images of one data set. Made by `open_images`.

    Attributes:
        name: the source, without the path to it.
        class_names: by label.
        scale: what images are divided by to lie in [0, 1].
    """

    def __init__(
        self, name: str, class_names: Sequence[str], train: Split, test: Split, *, scale: float, facts: dict[str, Any]
    ) -> None:
        self.name, self.class_names, self.scale = name, tuple(class_names), scale
        self._train, self._test, self._facts = train, test, facts

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def train_size(self) -> int | None:
        """The number of training images, or None where a stream does not say it."""
        return self._train.size

    @property
    def test_size(self) -> int | None:
        """The number of test images, or None where a stream does not say it."""
        return self._test.size

    def steps_per_epoch(self, batch_size: int, world: int = 1) -> int:
        """The number of global batches of an epoch.

        Raises:
            DataError: a stream that does not say how many images it holds, or too few for one batch.
        """
        if self.train_size is None:
            raise DataError(f"data {self.name!r} does not say how many images it holds; open it without streaming")
        steps = Share(batch_size, 0, 0, world, LEAST_SHARE).count(self.train_size)
        if not steps:
            raise DataError(f"data {self.name!r}: {self.train_size} images are too few for {world} processes")
        return steps

    def train_batches(
        self, *, batch_size: int, seed: int, epoch: int, start: int = 0, rank: int = 0, world: int = 1, workers: int = 0
    ) -> Iterator[Batch]:
        """One epoch: images [b, C, H, W] in 0..scale and labels int64 [b].

        Global batch j holds entries j * batch_size to (j + 1) * batch_size of an order that depends on `seed` and
        `epoch` alone; process `rank` of `world` takes its entries rank::world. The last, smaller batch is
        dropped if a process would get fewer than 2 of it. What comes before batch `start` is not decoded.

        Args:
            batch_size: images over all processes.
            seed: of the run.
            epoch: from 0.
            start: the first batch, for going on in the middle of an epoch.
            rank: this process.
            world: the number of processes.
            workers: processes (threads for a stream) that decode; without effect on images in memory.

        Raises:
            InputError: fewer images in a batch than processes, or a rank or start out of range.
            DataError: while iterating, an image or label that cannot be used.
        """
        share = Share(batch_size, start, rank, world, LEAST_SHARE)
        return self._train.batches(share, (seed, epoch), workers)

    def test_batches(self, *, batch_size: int, rank: int = 0, world: int = 1, workers: int = 0) -> Iterator[Batch]:
        """Every test image exactly once over all processes, in the order they are stored; see `train_batches`.

        Where the last batch holds fewer images than there are processes, some get one batch less than others.
        """
        return self._test.batches(Share(batch_size, 0, rank, world, 0), None, workers)

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on: plain values, without a path of this machine."""
        sizes = {"train": self.train_size, "test": self.test_size}
        return {"name": self.name, "classes": self.classes, "sizes": sizes, **self._facts}
