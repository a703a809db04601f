"""What a model is evaluated and calibrated on, given its configuration."""

from __future__ import annotations

from torch import Tensor

from ..models.config import Config
from .errors import DataError
from .images import load_images

CALIBRATION_IMAGES = 256


def load_inputs(
    source: str, config: Config, split: str = "test", count: int | None = None, *, label: str | None = None
) -> tuple[Tensor, Tensor | None]:
    """The first images of a split as a model takes them, and their labels [N] (None where there are none).

    Args:
        source: as `load_images` takes.
        config: of the model. Images are brought to its size, even if that is free; those of an .npz file keep theirs.
        split: `train` or `test`.
        count: how many; all if None.
        label: the column of labels, if there are several.

    Returns:
        float32 [N, C, H, W], or event counts [N, T, C, H, W]; int64 [N] or None.

    Raises:
        DataError: as `load_images`, or images of a shape that the model does not take.
    """
    channels, size = (None, None) if config.events else (config.in_channels, config.image_size)
    images, labels = load_images(
        source, split, count, channels=channels, image_size=size, classes=config.num_classes, label=label
    )
    frames = (config.time_steps,) if config.events else ()
    shape = (*frames, config.in_channels, config.image_size, config.image_size)
    fixed = len(shape) if config.fixed_size else len(shape) - 2
    if images.ndim != len(shape) + 1 or tuple(images.shape[1 : fixed + 1]) != shape[:fixed]:
        described = ", ".join(["N", *map(str, shape[:fixed]), *["H", "W"][: len(shape) - fixed]])
        raise DataError(f"{config.name} takes images of shape [{described}]; data {source!r} has {list(images.shape)}")
    return images, labels


def load_calibration(source: str, config: Config, *, label: str | None = None) -> Tensor:
    """The images that set the scale of a model's inputs: the first 256 of `train`, never the held-out ones.

    Raises:
        DataError: as `load_inputs`.
    """
    return load_inputs(source, config, "train", CALIBRATION_IMAGES, label=label)[0]
