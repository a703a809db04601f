"""Batches of pictures in an order that a seed decides, shared out over processes, begun anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from .batches import Batch, Memory, Preparation, Share, Stream, Table
from .decode import MODES, as_mode, pixels
from .digits import DIGITS_MAXIMUM, load_digits
from .source import DataError, ImageSource

IN_MEMORY = 2**30  # bytes of decoded pictures that are kept in memory
PEEK = 64  # pictures that decide whether all are taken as they are
LEAST_SHARE = 2  # pictures of an epoch's last batch for each process: BatchNorm needs more than one

DIGITS = "digits"
PIXEL_MAXIMUM = 255.0
GREY = ("1", "L", "LA")  # modes of a picture without colour


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
        steps = Share(batch_size, 0, 0, world, LEAST_SHARE).count(self.train_size)
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
        share = Share(batch_size, start, rank, world, LEAST_SHARE)
        return self._train.batches(share, (seed, epoch), workers)

    def test_batches(self, *, batch_size: int, rank: int = 0, world: int = 1, workers: int = 0) -> Iterator[Batch]:
        """Every test picture exactly once over all processes, in the order they are stored; see `train_batches`.

        Where the last batch holds fewer pictures than there are processes, some get one batch less than others.
        """
        return self._test.batches(Share(batch_size, 0, rank, world, 0), None, workers)

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
            order is then a shuffle of files and within a buffer of 4096 rows, and every process reads the whole stream.
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
    opened = ImageSource(source, label, streaming)
    crops = _crops(opened, image_size)
    prepare = Preparation(opened, channels, image_size, crops)
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
            Stream(opened.rows(split), size, prepare) for split, size in zip(("train", "test"), sizes, strict=True)
        )
        facts |= {"order": "stream", "fingerprint": [opened.fingerprint()]}
    elif fits and not crops:
        train, test = (
            _decode(opened.rows(split), size, prepare, f"{opened.name} {split}", show_progress)
            for split, size in zip(("train", "test"), sizes, strict=True)
        )
        facts |= {"order": "permutation", "fingerprint": [train.fingerprint(), test.fingerprint()]}
    else:
        train, test = (Table(opened.table(split), prepare) for split in ("train", "test"))
        facts |= {"order": "permutation", "fingerprint": [opened.fingerprint()]}
    return ImageData(opened.name, opened.class_names, train, test, scale=PIXEL_MAXIMUM, facts=facts)


def load_pictures(source: str, split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first pictures of a split as they are: float32 [N, C, H, W] in [0, 1], C being 1 or 3, and labels int64 [N].

    Args:
        source: a folder or a name of the Hub, as `open_images` takes.
        split: `train` or `test`.
        count: how many; all if None.

    Raises:
        ImportError: `datasets` is not installed.
        DataError: as `open_images`, or pictures of different sizes.
    """
    opened = ImageSource(source)
    pictures, labels = zip(*map(opened.decode, islice(opened.rows(split), count)), strict=True)
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise DataError(f"data {opened.name!r} has pictures of {len(sizes)} sizes; bring them to one, in an .npz file")
    channels = 1 if all(picture.mode in GREY for picture in pictures) else 3
    stacked = np.stack([pixels(as_mode(picture, channels)) for picture in pictures])
    return torch.from_numpy(stacked).float() / PIXEL_MAXIMUM, torch.tensor(labels)


def _open_digits(channels: int, image_size: int) -> ImageData:
    splits = {}
    for split in "train", "test":
        images, labels = load_digits(split)
        if image_size != images.shape[-1]:
            raise DataError(f"data 'digits' is of 8x8 pictures; the model takes {image_size}x{image_size}")
        counts = (images * DIGITS_MAXIMUM).round().to(torch.uint8)
        splits[split] = Memory(counts.expand(-1, channels, -1, -1).contiguous(), labels)
    facts = {"channels": channels, "image_size": image_size, "order": "permutation"}
    facts["fingerprint"] = [split.fingerprint() for split in splits.values()]
    return ImageData(DIGITS, [str(digit) for digit in range(10)], **splits, scale=DIGITS_MAXIMUM, facts=facts)


def _crops(source: ImageSource, image_size: int) -> bool:
    """Whether pictures must be cut, judged by the first."""
    sizes = {picture.size for picture, _ in map(source.decode, islice(source.rows("train"), PEEK))}
    if not sizes:
        raise DataError(f"data {source.name!r} has no training pictures")
    if sizes == {(image_size, image_size)}:
        return False
    if len(sizes) == 1 and min(*sizes.copy().pop()) < image_size:
        width, height = sizes.pop()
        raise DataError(
            f"data {source.name!r} is of {width}x{height} pictures; the model takes {image_size}x{image_size}: "
            "choose a configuration of that image_size, or enlarge the pictures"
        )
    return True


def _decode(rows: Iterable[Any], size: int, prepare: Preparation, what: str, show_progress: bool) -> Memory:
    images = torch.empty(size, prepare.channels, prepare.image_size, prepare.image_size, dtype=torch.uint8)
    labels = torch.empty(size, dtype=torch.int64)
    count = 0
    for row in track(rows, f"decoding {what}", total=size, disable=not show_progress):
        if count < size:
            image, labels[count] = prepare.pixels(row, None)
            images[count] = torch.from_numpy(image)
        count += 1
    if count != size:
        raise DataError(f"data {what}: {count} pictures where {size} are announced")
    return Memory(images, labels)
