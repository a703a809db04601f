"""An .npz file: images as a model takes them, in whatever scale it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..batches import Memory
from ..checks import SPLITS, check_integers
from ..errors import DataError
from ..image_data import ImageData
from ..npz_file import array_names, list_names, read_array
from ..source import Source, Wanted

SUFFIX = ".npz"
TRAINING = ("train_images", "train_labels", "test_images", "test_labels")


class Npz(Source):
    """Arrays `train_images`, `train_labels`, `test_images` and `test_labels`; or `images`, and perhaps `labels`.

    Images are [N, C, H, W], or event counts [N, T, C, H, W]; labels are integers [N]. Where a split has no images of
    its own, `images` serves for it. Nothing is resized or scaled.
    """

    form: ClassVar[str] = f"an {SUFFIX} file"

    @classmethod
    def recognizes(cls, text: str) -> bool:
        """Whether the text ends so."""
        return text.endswith(SUFFIX)

    def open(self, wanted: Wanted, *, streaming: bool, show_progress: bool) -> ImageData:
        """In memory, whole.

        Raises:
            DataError: an array is missing, of another shape than is wanted, or out of [0, 1].
        """
        path = Path(self.text)
        names = array_names(path)
        if missing := [name for name in TRAINING if name not in names]:
            raise DataError(f"{path}: training needs {', '.join(TRAINING)}; {', '.join(missing)} are missing")
        splits, classes = {}, wanted.classes or 0
        for split in SPLITS:
            images, labels = self.load(split, None, wanted)
            assert labels is not None
            shape = [wanted.channels, wanted.image_size, wanted.image_size]
            if images.ndim != 4 or list(images.shape[1:]) != shape:
                described = ", ".join(map(str, ["N", *shape]))
                raise DataError(f"{path}: '{split}_images' is {list(images.shape)}; the model takes [{described}]")
            if not (images.min() >= 0 and images.max() <= 1):
                least, most = images.min().item(), images.max().item()
                raise DataError(
                    f"{path}: '{split}_images' is from {least:g} to {most:g}; training takes images in [0, 1]"
                )
            splits[split] = Memory(images, labels)
            classes = max(classes, int(labels.max()) + 1)
        facts = {
            "channels": wanted.channels,
            "image_size": wanted.image_size,
            "order": "permutation",
            "fingerprint": [split.fingerprint() for split in splits.values()],
        }
        return ImageData(path.name, [str(number) for number in range(classes)], **splits, scale=1.0, facts=facts)

    def load(self, split: str, count: int | None, wanted: Wanted) -> tuple[Tensor, Tensor | None]:
        """As they are, whatever shape is wanted: a model whose image size is free takes others as well."""
        path = Path(self.text)
        names = array_names(path)
        prefix = f"{split}_" if f"{split}_images" in names else ""
        images_name, labels_name = f"{prefix}images", f"{prefix}labels"
        if images_name not in names:
            raise DataError(f"{path}: has {list_names(names)}; an array 'images' or '{split}_images' is needed")
        images, shape = read_array(path, images_name, count)
        found = _as_floats(images, f"{path}: '{images_name}'")
        if labels_name not in names:
            return found, None
        labels, labels_shape = read_array(path, labels_name, count)
        if labels_shape != shape[:1]:
            raise DataError(
                f"{path}: '{labels_name}' is {labels.dtype} {list(labels_shape)}; "
                f"an integer for each of the {shape[0]} images is needed"
            )
        return found, torch.from_numpy(check_integers(labels, wanted.classes, f"{path}: '{labels_name}'"))


def _as_floats(images: NDArray[Any], what: str) -> Tensor:
    """Raises DataError for what is not finite in float32."""
    with np.errstate(over="ignore"):
        found = images.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        raise DataError(f"{what}: the value at {list(place)} is {images[place]}; finite float32 numbers are needed")
    return torch.from_numpy(found)
