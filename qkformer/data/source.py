"""What every kind of source of images can do. Each kind has a file of its own in `sources/`, which is all it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .image_data import ImageData


@dataclass(frozen=True)
class Wanted:
    """What a model takes, as far as it is known.

    Attributes:
        channels: 1 (grey) or 3 (RGB); None: as the images are.
        image_size: the side of the square images; None: the size of the images, which must be the same for all.
        classes: the number of classes, for a source that does not say it.
        label: the column of labels, where a source has several.
    """

    channels: int | None = None
    image_size: int | None = None
    classes: int | None = None
    label: str | None = None


class Source(ABC):
    """Train and test images in one place.

    Attributes:
        form: how a user writes such a source, for help and errors.
        has_rows: whether it can be streamed, and has columns of labels among which one can be chosen.
        text: what the user wrote.
    """

    form: ClassVar[str]
    has_rows: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    @abstractmethod
    def recognizes(cls, text: str) -> bool:
        """Whether a text is such a source, by its form or by what lies on this machine. It asks no network."""

    @abstractmethod
    def open(self, wanted: Wanted, *, streaming: bool, show_progress: bool) -> ImageData:
        """For training: see `open_images`. Both channels and image_size are wanted."""

    @abstractmethod
    def load(self, split: str, count: int | None, wanted: Wanted) -> tuple[Tensor, Tensor | None]:
        """The first images of a split: see `load_images`. In evaluation they are those of `open`, bit for bit."""
