"""Batches of pictures in an order that a seed decides, shared out over processes, begun anywhere."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from .data import DIGITS_MAXIMUM, load_digits
from .image_decode import MODES, as_mode, center_crop, pixels, random_resized_crop
from .image_source import DataError, ImageSource
from .seeds import seed_of

IN_MEMORY = 2**30  # bytes of decoded pictures that are kept in memory
PEEK = 64  # pictures that decide whether all are taken as they are
SHUFFLE_BUFFER = 10_000  # rows of a stream among which the next is drawn
LEAST_SHARE = 2  # pictures of an epoch's last batch for each process: BatchNorm needs more than one

Batch = tuple[Tensor, Tensor]  # images uint8 [b, C, H, W], labels int64 [b]
DIGITS = "digits"


@dataclass(frozen=True)
class _Share:
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
        return count == self.batch_size or count // self.world >= max(self.least, 1)

    def count(self, size: int) -> int:
        """The number of batches of `size` pictures."""
        whole, rest = divmod(size, self.batch_size)
        return whole + (rest > 0 and self.keeps(rest))

    def positions(self, size: int) -> list[range]:
        """Of every batch of `size` pictures, the places in the epoch's order that are this process's."""
        starts = range(self.start * self.batch_size, self.count(size) * self.batch_size, self.batch_size)
        return [range(first + self.rank, min(first + self.batch_size, size), self.world) for first in starts]


def _order(size: int, epoch: tuple[int, int] | None) -> Tensor:
    """Indices int64 [size] in the order of an epoch: a permutation by (seed, epoch), or as they are stored."""
    if epoch is None:
        return torch.arange(size)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed_of(*epoch)))


class _Memory:
    """A split that is decoded once."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images, self.labels, self.size = images, labels, len(labels)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for values in self.images, self.labels:
            digest.update(values.contiguous().numpy())
        return digest.hexdigest()

    def batches(self, share: _Share, epoch: tuple[int, int] | None, workers: int) -> Iterator[Batch]:
        order = _order(self.size, epoch)
        for positions in share.positions(self.size):
            chosen = order[list(positions)]
            yield self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class _Prepare:
    """Rows to a batch: decoded, and cropped by a seed for the place in the epoch or, for testing, in the middle."""

    source: ImageSource
    channels: int
    image_size: int
    crops: bool  # or every picture is of image_size and taken as it is

    def pixels(self, row: dict[str, Any], seed: int | None) -> tuple[np.ndarray, int]:
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

    def batch(self, rows: Iterable[dict[str, Any]], positions: range, epoch: tuple[int, int] | None) -> Batch:
        seeds = [None if epoch is None else seed_of(*epoch, position) for position in positions]
        images, labels = zip(*map(self.pixels, rows, seeds), strict=True)
        return torch.from_numpy(np.stack(images)), torch.tensor(labels)


@dataclass(frozen=True)
class _Table:
    """A split read by index and decoded in the processes of a DataLoader."""

    rows: Any
    prepare: _Prepare

    @property
    def size(self) -> int:
        return len(self.rows)

    def batches(self, share: _Share, epoch: tuple[int, int] | None, workers: int) -> Iterator[Batch]:
        order = _order(self.size, epoch)

        def batch(positions: range) -> Batch:
            return self.prepare.batch((self.rows[int(order[position])] for position in positions), positions, epoch)

        own = torch.Generator()  # else a DataLoader draws from the global one, and what else is drawn would change
        return iter(
            DataLoader(
                _Items(batch), batch_size=None, sampler=share.positions(self.size), num_workers=workers, generator=own
            )
        )


@dataclass(frozen=True)
class _Items:
    """A function as what a DataLoader takes."""

    get: Callable[[range], Batch]

    def __getitem__(self, positions: range) -> Batch:
        return self.get(positions)


@dataclass(frozen=True)
class _Stream:
    """A split read once through, shuffled within a buffer. Every process reads all of it and decodes its share."""

    open: Callable[[], Any]
    size: int | None
    prepare: _Prepare

    def batches(self, share: _Share, epoch: tuple[int, int] | None, workers: int) -> Iterator[Batch]:
        rows = self.open()
        if epoch is not None:
            rows = rows.shuffle(seed=seed_of(*epoch), buffer_size=SHUFFLE_BUFFER)

        def shares() -> Iterator[tuple[list[Any], range]]:
            first = share.start * share.batch_size
            left = islice(rows, first, None)
            while share.keeps(len(chunk := list(islice(left, share.batch_size)))):
                yield chunk[share.rank :: share.world], range(first + share.rank, first + len(chunk), share.world)
                first += share.batch_size

        return _ahead(lambda work: self.prepare.batch(*work, epoch), shares(), workers)


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


class ImageData:
    """Train and test pictures of one data set. Made by `open_images`.

    Attributes:
        name: the source, without the path to it.
        class_names: by label.
        scale: what uint8 pixels are divided by to lie in [0, 1].
    """

    def __init__(
        self, name: str, class_names: Sequence[str], train: Any, test: Any, *, scale: float, facts: dict[str, Any]
    ):
        self.name, self.class_names, self.scale = name, tuple(class_names), scale
        self._train, self._test, self._facts = train, test, facts

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def train_size(self) -> int | None:
        """The number of training pictures, or None where a stream does not say it."""
        return self._train.size

    @property
    def test_size(self) -> int | None:
        """The number of test pictures, or None where a stream does not say it."""
        return self._test.size

    def steps_per_epoch(self, batch_size: int, world: int = 1) -> int:
        """The number of global batches of an epoch.

        Raises:
            DataError: a stream that does not say how many pictures it holds, or too few for one batch.
        """
        if self.train_size is None:
            raise DataError(f"data {self.name!r} does not say how many pictures it holds; open it without streaming")
        steps = _Share(batch_size, 0, 0, world, LEAST_SHARE).count(self.train_size)
        if not steps:
            raise DataError(f"data {self.name!r}: {self.train_size} pictures are too few for {world} processes")
        return steps

    def train_batches(
        self, *, batch_size: int, seed: int, epoch: int, start: int = 0, rank: int = 0, world: int = 1, workers: int = 0
    ) -> Iterator[Batch]:
        """One epoch: images uint8 [b, C, H, W] in 0..scale and labels int64 [b].

        Global batch j holds entries j * batch_size to (j + 1) * batch_size of an order that depends on `seed` and
        `epoch` alone; process `rank` of `world` takes its entries rank::world. The last, smaller batch is
        dropped if a process would get fewer than 2 of it. What comes before batch `start` is not decoded.

        Args:
            batch_size: pictures over all processes.
            seed: of the run.
            epoch: from 0.
            start: the first batch, for going on in the middle of an epoch.
            rank: this process.
            world: the number of processes.
            workers: processes (threads for a stream) that decode; without effect on pictures in memory.

        Raises:
            ValueError: fewer pictures in a batch than processes, or a rank or start out of range.
            DataError: while iterating, a picture or label that cannot be used.
        """
        share = _Share(batch_size, start, rank, world, LEAST_SHARE)
        return self._train.batches(share, (seed, epoch), workers)

    def test_batches(self, *, batch_size: int, rank: int = 0, world: int = 1, workers: int = 0) -> Iterator[Batch]:
        """Every test picture exactly once over all processes, in the order they are stored; see `train_batches`.

        Where the last batch holds fewer pictures than there are processes, some get one batch less than others.
        """
        batches = self._test.batches(_Share(batch_size, 0, rank, world, 0), None, workers)
        return (batch for batch in batches if len(batch[1]))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on: plain values, without a path of this machine."""
        sizes = {"train": self.train_size, "test": self.test_size}
        return {"name": self.name, "classes": self.classes, "sizes": sizes, **self._facts}


def open_images(
    source: str,
    *,
    channels: int,
    image_size: int,
    streaming: bool = False,
    label: str | None = None,
    show_progress: bool = True,
) -> ImageData:
    """Open a data set for training.

    Pictures that are all of image_size x image_size are taken as they are, and kept in memory if they fit 1 GiB.
    Others are cut: in training a random part (8 to 100 % of the area), in testing the middle after resizing the
    shorter side to 256/224 of image_size, both bicubic. Grey becomes RGB, or RGB grey, as `channels` says.

    Args:
        source: `digits`, which scikit-learn brings; a folder with train.parquet and test.parquet (or shards of them),
            or with train/CLASS/*.png and test/CLASS/*.png (or validation, val); or the name of a data set of the Hub
            (`uoft-cs/cifar10`, with `:config` behind it if it has several), which is downloaded.
        channels: 1 (grey) or 3 (RGB).
        image_size: the side of the square images that the model takes.
        streaming: read pictures as they come instead of copying the data set into the cache of `datasets` first. The
            order is then a shuffle within a buffer of 10,000, and every process reads the whole stream.
        label: the column of labels, if there are several (`fine_label` of CIFAR-100).
        show_progress: draw a progress bar while decoding into memory.

    Raises:
        ImportError: `datasets` is needed and not installed.
        DataError: no such data set, or one that cannot be used; pictures of one size smaller than image_size.
        ValueError: another number of channels.
    """
    if channels not in MODES:
        raise ValueError(f"channels is {channels}; pictures have 1 (grey) or 3 (RGB)")
    if source == DIGITS:
        return _open_digits(channels, image_size)
    opened = ImageSource(source, label)
    crops = _crops(opened, image_size)
    prepare = _Prepare(opened, channels, image_size, crops)
    facts = {
        "label": opened.label,
        "channels": channels,
        "image_size": image_size,
        "pictures": "random resized crops" if crops else "as they are",
    }
    sizes = [opened.size(split) for split in ("train", "test")]
    fits = None not in sizes and sum(sizes) * channels * image_size**2 <= IN_MEMORY
    if streaming:
        train, test = (
            _Stream(lambda split=split: opened.stream(split), size, prepare)
            for split, size in zip(("train", "test"), sizes, strict=True)
        )
        facts |= {"order": "stream", "fingerprint": [opened.fingerprint()]}
    elif fits and not crops:
        train, test = (
            _decode(opened.rows(split), size, prepare, f"{opened.name} {split}", show_progress)
            for split, size in zip(("train", "test"), sizes, strict=True)
        )
        facts |= {"order": "permutation", "fingerprint": [train.fingerprint(), test.fingerprint()]}
    else:
        train, test = (_Table(opened.table(split), prepare) for split in ("train", "test"))
        facts |= {"order": "permutation", "fingerprint": [opened.fingerprint()]}
    return ImageData(opened.name, opened.class_names, train, test, scale=255.0, facts=facts)


def _open_digits(channels: int, image_size: int) -> ImageData:
    splits = {}
    for split in "train", "test":
        images, labels = load_digits(split)
        if image_size != images.shape[-1]:
            raise DataError(f"data 'digits' is of 8x8 pictures; the model takes {image_size}x{image_size}")
        counts = (images * DIGITS_MAXIMUM).round().to(torch.uint8)
        splits[split] = _Memory(counts.expand(-1, channels, -1, -1).contiguous(), labels)
    facts = {"channels": channels, "image_size": image_size, "order": "permutation"}
    facts["fingerprint"] = [split.fingerprint() for split in splits.values()]
    return ImageData(DIGITS, [str(digit) for digit in range(10)], **splits, scale=DIGITS_MAXIMUM, facts=facts)


def _crops(source: ImageSource, image_size: int) -> bool:
    """Whether pictures must be cut, judged by the first."""
    sizes = {picture.size for picture, _ in map(source.decode, islice(source.rows("train"), PEEK))}
    if sizes == {(image_size, image_size)}:
        return False
    if len(sizes) == 1 and min(*sizes.copy().pop()) < image_size:
        width, height = sizes.pop()
        raise DataError(
            f"data {source.name!r} is of {width}x{height} pictures; the model takes {image_size}x{image_size}: "
            "choose a configuration of that image_size, or enlarge the pictures"
        )
    return True


def _decode(rows: Iterable[Any], size: int, prepare: _Prepare, what: str, show_progress: bool) -> _Memory:
    images = torch.empty(size, prepare.channels, prepare.image_size, prepare.image_size, dtype=torch.uint8)
    labels = torch.empty(size, dtype=torch.int64)
    count = 0
    for row in track(rows, f"decoding {what}", total=size, disable=not show_progress, transient=True):
        if count < size:
            image, labels[count] = prepare.pixels(row, None)
            images[count] = torch.from_numpy(image)
        count += 1
    if count != size:
        raise DataError(f"data {what}: {count} pictures where {size} are announced")
    return _Memory(images, labels)
