"""What the commands share: options, inputs, and the record of what was run."""

from __future__ import annotations

import json
import os
import shlex
import sys
import zipfile
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from hardware.files import write_atomically

from ..checkpoints import checkpoint
from ..data.digits import DATA_SETS, load_data
from ..data.images import load_pictures
from ..models.config import Config

CALIBRATION_IMAGES = 256


def _at_least_one(images: int) -> int:
    if images < 1:
        raise typer.BadParameter(f"{images}; at least 1 is needed")
    return images


DATA_HELP = (
    f"{', '.join(DATA_SETS)}, a folder of pictures (test.parquet, or test/CLASS/*.png) or a Hub name OWNER/NAME, each "
    "its held-out part; or an .npz with 'images' [N, C, H, W] and perhaps 'labels' [N]."
)
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Images = Annotated[int, typer.Option(callback=_at_least_one, help="How many images, from the first.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON.")]
Checkpoint = Annotated[str, typer.Argument(metavar="CKPT", help="A checkpoint file, or the name of a shipped one.")]


def load_inputs(data: str, count: int | None = None, split: str = "test") -> tuple[Tensor, Tensor | None]:
    """Images [N, ...] and labels [N] (None if the file has none) of a data set's split or an .npz file.

    Raises ValueError for a name or file that is neither, and for arrays that are not what they must be.
    """
    if data in DATA_SETS:
        images, labels = load_data(data, split)
    elif Path(data).suffix == ".npz" or not (Path(data).is_dir() or "/" in data):
        images, labels = _read_npz(data)
    else:
        images, labels = load_pictures(data, split, count)
    return images[:count], None if labels is None else labels[:count]


def load_calibration(data: str, config: Config) -> Tensor:
    """The images that set the scale of a model's inputs: never a data set's held-out ones.

    Raises ValueError for images of another shape than the model takes; its height and width may be free.
    """
    images, _ = load_inputs(data, CALIBRATION_IMAGES, "train")
    frames = (config.time_steps,) if config.events else ()
    shape = (*frames, config.in_channels, config.image_size, config.image_size)
    fixed = len(shape) if config.fixed_size else len(shape) - 2
    if images.ndim != len(shape) + 1 or tuple(images.shape[1 : fixed + 1]) != shape[:fixed]:
        wanted = ", ".join(["N", *map(str, shape[:fixed]), *["H", "W"][: len(shape) - fixed]])
        raise ValueError(f"{config.name} takes images of shape [{wanted}]; --data has {list(images.shape)}")
    return images


def _read_npz(data: str) -> tuple[Tensor, Tensor | None]:
    path = Path(data)
    if path.suffix != ".npz" or not path.is_file():
        raise ValueError(
            f"--data is '{data}', which is neither a folder, an .npz file nor one of: {', '.join(DATA_SETS)}"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a readable .npz file: {error}") from error
    if "images" not in arrays:
        raise ValueError(f"{path}: has {', '.join(arrays) or 'no arrays'}; an array 'images' is needed")
    images, labels = arrays["images"], arrays.get("labels")
    if images.dtype.kind not in "iuf":
        raise ValueError(f"{path}: 'images' is of type {images.dtype}; integers or floats are needed")
    if not (images.ndim and images.size):
        raise ValueError(f"{path}: 'images' has shape {list(images.shape)}; at least one image is needed")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]):
        raise ValueError(
            f"{path}: 'labels' is {labels.dtype} {list(labels.shape)}; "
            f"an integer for each of the {len(images)} images is needed"
        )
    return (
        torch.from_numpy(images.astype(np.float32)),
        None if labels is None else torch.from_numpy(labels.astype(np.int64)),
    )


def check_writable(*files: Path | None) -> None:
    """Make the folders of files to be written; OSError now, not after minutes, where one cannot be written."""
    for file in filter(None, files):
        if file.parent.is_file():
            raise NotADirectoryError(f"{file.parent}: is a file, not a folder to write {file.name} in")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(f"{file}: is a folder; give the name of a file")
        if not os.access(file.parent, os.W_OK):
            raise PermissionError(f"{file.parent}: this folder cannot be written to; choose another")


def versions() -> dict[str, str]:
    """The versions that results depend on, those of the targets included."""
    found = checkpoint.versions()
    for package in ("nir", "lava-nc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["qkformer", *sys.argv[1:]])


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    """Write a command's result with its versions and command line, if a file was asked for."""
    if path:
        text = json.dumps({"command": command_line(), "versions": versions(), **result}, indent=2) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text))


def accuracy(logits: Tensor, labels: Tensor | None) -> float | None:
    """The share of images whose largest logit is at their label; None without labels."""
    if labels is None:
        return None
    return (logits.argmax(1).cpu() == labels).double().mean().item()
