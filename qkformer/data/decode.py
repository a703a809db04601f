"""From a picture of any size to the pixels a model takes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB"}
AREA = (0.08, 1.0)  # of the picture, and
ASPECT = (3 / 4, 4 / 3)  # width over height: Inception's crops (Szegedy et al. 2014), as in ImageNet's recipes
ATTEMPTS = 10
MARGIN = 256 / 224  # what the shorter side of a test image is resized to, over what is cut from its middle


def as_mode(picture: Image.Image, channels: int) -> Image.Image:
    """The picture in grey (1 channel) or RGB (3).

    Raises:
        ValueError: more than 8 bits a pixel and channel, which would be cut off, or another number of channels.
    """
    if channels not in MODES:
        raise ValueError(f"channels is {channels}; pictures have 1 (grey) or 3 (RGB)")
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"a picture of mode {picture.mode}, more than 8 bits a channel; write it with 8 bits first")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # Pillow asks for this step
    return picture.convert(MODES[channels])


def pixels(picture: Image.Image) -> np.ndarray:
    """uint8 [C, H, W]."""
    array = np.array(picture)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def random_resized_crop(picture: Image.Image, size: int, generator: np.random.Generator) -> Image.Image:
    """A part of random area and aspect, bicubically resized to size x size."""
    width, height = picture.size
    for _ in range(ATTEMPTS):
        area = width * height * generator.uniform(*AREA)
        aspect = math.exp(generator.uniform(*map(math.log, ASPECT)))
        wide, high = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = generator.integers(width - wide + 1), generator.integers(height - high + 1)
            break
    else:  # a picture much longer than wide: its middle
        wide, high = min(width, round(height * ASPECT[1])), min(height, round(width / ASPECT[0]))
        left, top = (width - wide) // 2, (height - high) // 2
    box = (left, top, left + wide, top + high)
    return picture.resize((size, size), Image.Resampling.BICUBIC, box=box)


def center_crop(picture: Image.Image, size: int) -> Image.Image:
    """The shorter side resized to size * 256 / 224, bicubically, then the middle size x size."""
    width, height = picture.size
    scale = round(size * MARGIN) / min(width, height)
    picture = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return picture.crop((left, top, left + size, top + size))
