"""The one door for images: to train on, or as tensors. What can stand behind it is in `sources/`."""

from __future__ import annotations

from torch import Tensor

from hardware.errors import InputError

from .checks import check_integers, check_split
from .errors import DataError
from .image_data import ImageData
from .source import Source, Wanted
from .sources import find_source


def open_images(
    source: str,
    *,
    channels: int,
    image_size: int,
    classes: int | None = None,
    streaming: bool = False,
    label: str | None = None,
    show_progress: bool = True,
) -> ImageData:
    """Open a data set for training.

    Images that are all of image_size x image_size are taken as they are, and kept in memory if they fit 1 GiB.
    Others are cut: in training a random part (8 to 100 % of the area), in testing the middle after resizing the
    shorter side to 256/224 of image_size, both bicubic. Grey becomes RGB, or RGB grey, as `channels` says.

    Args:
        source: `digits`, which scikit-learn brings; a folder with train.parquet and test.parquet (or shards of them),
            or with train/CLASS/*.png and test/CLASS/*.png (or validation, val); `hub:OWNER/NAME`, a data set of the
            Hugging Face Hub (`hub:uoft-cs/cifar10`, with `:CONFIG` behind it if it has several), which is downloaded;
            or an .npz file with `train_images`, `train_labels`, `test_images` and `test_labels`, images in [0, 1].
        channels: 1 (grey) or 3 (RGB).
        image_size: the side of the square images that the model takes.
        classes: the number of classes, for a source that does not say it (an .npz file).
        streaming: read images as they come instead of copying the data set into the cache of `datasets` first. The
            order is then a shuffle of files and within a buffer of 4096 rows, and every process reads the whole stream.
        label: the column of labels, if there are several (`fine_label` of CIFAR-100).
        show_progress: draw a progress bar while decoding into memory.

    Raises:
        NotAvailableError: `datasets` is needed and not installed.
        DataError: no such data set, or one that cannot be used; images of one size smaller than image_size.
        InputError: another number of channels.
    """
    found = _find(source, label, streaming)
    return found.open(Wanted(channels, image_size, classes, label), streaming=streaming, show_progress=show_progress)


def load_images(
    source: str,
    split: str,
    count: int | None = None,
    *,
    channels: int | None = None,
    image_size: int | None = None,
    classes: int | None = None,
    label: str | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The first images of a split: float32 [N, C, H, W], and their labels int64 [N], or None where there are none.

    They are in the scale in which a model is trained on this source, and prepared as the held-out images of
    `open_images` are: of `test`, the two are equal bit for bit. So are those of `train`, which are not cut at random.
    No more than these images are read, and the first of `train`, by which their size is judged.

    Args:
        source: as `open_images` takes. An .npz file serves either split with the arrays `images` and perhaps `labels`,
            or each with its own, and is taken as it is: any shape, event counts [N, T, C, H, W] among them, any scale.
        split: `train` or `test`.
        count: how many; all if None.
        channels: 1 (grey) or 3 (RGB); as the images are if None.
        image_size: the side of the square images that the model takes; if None that of the images, which must be one.
        classes: the number of classes, to check labels by.
        label: the column of labels, if there are several.

    Raises:
        NotAvailableError: `datasets` is needed and not installed.
        DataError: no such data set, one that cannot be used, or a label out of range.
        InputError: another split, number of images or number of channels.
    """
    check_split(split)
    if count is not None and count < 1:
        raise InputError(f"count is {count}; it must be at least 1 image")
    found = _find(source, label)
    images, labels = found.load(split, count, Wanted(channels, image_size, classes, label))
    if labels is not None:
        check_integers(labels.numpy(), classes, f"data {source!r}")
    return images, labels


def load_data(name: str, split: str) -> tuple[Tensor, Tensor | None]:
    """All images of a source as they are, and their labels: see `load_images`.

    Raises:
        DataError: no such data set.
        InputError: no such split.
    """
    return load_images(name, split)


def _find(text: str, label: str | None, streaming: bool = False) -> Source:
    source = find_source(text)
    if not source.has_rows and (streaming or label is not None):
        raise DataError(f"data {text!r} is read whole and has one column of labels; leave out streaming and label")
    return source
