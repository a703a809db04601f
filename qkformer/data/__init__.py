"""Images and events: one door for all sources of images."""

from .errors import DataError
from .image_data import ImageData
from .images import load_data, load_images, open_images
from .inputs import load_calibration, load_inputs

__all__ = [
    "DataError",
    "ImageData",
    "load_calibration",
    "load_data",
    "load_images",
    "load_inputs",
    "open_images",
]
