"""Sources whose rows hold encoded images: these are decoded, and brought to what a model takes."""

from __future__ import annotations

from abc import abstractmethod
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from rich.markup import escape
from rich.progress import track
from torch import Tensor

from hardware.printable import printable

from .batches import Memory, Split, Stream, Table
from .checks import SPLITS
from .errors import DataError
from .image_data import ImageData
from .labelled_rows import LabelledRows
from .preparation import Preparation
from .source import Source, Wanted

IN_MEMORY = 2**30  # bytes of decoded images that are kept in memory
PIXEL_MAXIMUM = 255.0


class RowsSource(Source):
    """A source that `datasets` reads."""

    has_rows: ClassVar[bool] = True

    @abstractmethod
    def rows(self, label: str | None, streaming: bool) -> LabelledRows:
        """Where they lie."""

    def open(self, wanted: Wanted, *, streaming: bool, show_progress: bool) -> ImageData:
        """In memory where images are taken as they are and fit; else decoded anew in every epoch."""
        rows = self.rows(wanted.label, streaming)
        prepare = Preparation.of(rows, wanted.channels, wanted.image_size)
        facts: dict[str, Any] = {
            "label": rows.label,
            "channels": prepare.channels,
            "image_size": wanted.image_size,
            "images": "random resized crops" if prepare.crops else "as they are",
        }
        splits: list[Split]
        if streaming:
            splits = [Stream(rows.of(split), rows.size(split), prepare) for split in SPLITS]
            facts |= {"order": "stream", "fingerprint": [rows.fingerprint()]}
        elif not prepare.crops and _fit_memory(rows, prepare):
            decoded = [_decode(rows, split, prepare, show_progress) for split in SPLITS]
            splits = [*decoded]
            facts |= {"order": "permutation", "fingerprint": [split.fingerprint() for split in decoded]}
        else:
            splits = [Table(rows.table(split), prepare) for split in SPLITS]
            facts |= {"order": "permutation", "fingerprint": [rows.fingerprint()]}
        train, test = splits
        return ImageData(rows.name, rows.class_names, train, test, scale=PIXEL_MAXIMUM, facts=facts)

    def load(self, split: str, count: int | None, wanted: Wanted) -> tuple[Tensor, Tensor]:
        """Prepared as for an evaluation in training; no row behind the last is read."""
        rows = self.rows(wanted.label, streaming=False)
        prepare = Preparation.of(rows, wanted.channels, wanted.image_size)
        chosen = [prepare.pixels(row, None) for row in islice(rows.of(split), count)]
        if not chosen:
            raise DataError(f"data {rows.name!r} has no {split} images")
        images, labels = zip(*chosen, strict=True)
        return torch.from_numpy(np.stack(images)).to(torch.float32) / PIXEL_MAXIMUM, torch.tensor(labels)


def _fit_memory(rows: LabelledRows, prepare: Preparation) -> bool:
    """Whether both splits, decoded, fit the memory that is meant for them."""
    sizes = [rows.size(split) for split in SPLITS]
    width, height = prepare.size
    return None not in sizes and sum(filter(None, sizes)) * prepare.channels * width * height <= IN_MEMORY


def _decode(rows: LabelledRows, split: str, prepare: Preparation, show_progress: bool) -> Memory:
    what, size = f"{rows.name} {split}", rows.size(split) or 0
    width, height = prepare.size
    images = torch.empty(size, prepare.channels, height, width, dtype=torch.uint8)
    labels = torch.empty(size, dtype=torch.int64)
    count = 0
    for row in track(rows.of(split), escape(printable(f"decoding {what}")), total=size, disable=not show_progress):
        if count < size:
            image, labels[count] = prepare.pixels(row, None)
            images[count] = torch.from_numpy(image)
        count += 1
    if count != size:
        raise DataError(f"data {what}: {count} images where {size} are announced")
    return Memory(images, labels)
