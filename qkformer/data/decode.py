"""From an image of any size and mode to the pixels a model takes."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hardware.errors import InputError

from .errors import DataError
from .foreign import naming

MODES = {1: "L", 3: "RGB"}  # by the number of channels
GREY = ("1", "L", "LA")  # modes without colour
AREA = (0.08, 1.0)  # of the image, and
ASPECT = (3 / 4, 4 / 3)  # width over height: Inception's crops (Szegedy et al. 2014), as in ImageNet's recipes
ATTEMPTS = 10
LARGEST_PICTURE = 2**26  # pixels: 200 MB in RGB
MARGIN = 256 / 224  # what the shorter side of a test image is resized to, over what is cut from its middle


def read_picture(
    stored: Mapping[str, Any], decode: Callable[[Mapping[str, Any]], Image.Image], what: str = "an image"
) -> Image.Image:
    """The picture that a row stores as `bytes` or at a `path`. decode: what loads it, once its size is known.

    Raises:
        DataError: not a picture, or one of more than 2^26 pixels, which is found out before memory is taken.
    """
    content, path = stored.get("bytes"), stored.get("path")
    with naming(f"{what}, cannot be decoded"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's advice on what is right or will be refused
        if content is not None or (path and Path(path).is_file()):
            with Image.open(io.BytesIO(content) if content is not None else str(path)) as picture:
                width, height = picture.size
            if width * height > LARGEST_PICTURE:
                raise DataError(
                    f"{what}, is of {width}x{height} pixels; at most {LARGEST_PICTURE:,} are possible: make it smaller"
                )
        return decode(stored)


def check_channels(channels: int) -> None:
    """Raise InputError unless there is a mode of so many channels."""
    if channels not in MODES:
        raise InputError(f"channels is {channels}; images have 1 (grey) or 3 (RGB)")


def is_grey(image: Image.Image) -> bool:
    """Whether an image is without colour."""
    return image.mode in GREY


def as_mode(image: Image.Image, channels: int, what: str = "an image") -> Image.Image:
    """The image in grey (1 channel) or RGB (3).

    Raises:
        DataError: more than 8 bits a pixel and channel, which would be cut off.
        InputError: another number of channels.
    """
    check_channels(channels)
    if image.mode.startswith(("I", "F")):
        raise DataError(f"{what}, is of mode {image.mode}, more than 8 bits a channel; write it with 8 bits first")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow asks for this step
    with naming(f"{what}, is of mode {image.mode}"):
        return image.convert(MODES[channels])


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 [C, H, W]."""
    array = np.array(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def random_resized_crop(image: Image.Image, size: int, generator: np.random.Generator) -> Image.Image:
    """A part of random area and aspect, bicubically resized to size x size."""
    width, height = image.size
    for _ in range(ATTEMPTS):
        area = width * height * generator.uniform(*AREA)
        aspect = math.exp(generator.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(generator.integers(width - wide + 1)), int(generator.integers(height - high + 1))
            break
    else:  # an image much longer than wide: its middle
        wide, high = min(width, round(height * ASPECT[1])), min(height, round(width / ASPECT[0]))
        left, top = (width - wide) // 2, (height - high) // 2
    box = (left, top, left + wide, top + high)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The shorter side resized to size * 256 / 224, bicubically, then the middle size x size."""
    width, height = image.size
    scale = round(size * MARGIN) / min(width, height)
    image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
