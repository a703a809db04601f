"""What the commands share: options, inputs, and the record of what was run."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from hardware.files import write_atomically

from ..checkpoints import checkpoint


def _at_least_one(images: int) -> int:
    if images < 1:
        raise typer.BadParameter(f"{images}; at least 1 is needed")
    return images


DATA_HELP = (
    "digits, a folder (parquet files, or test/CLASS/*.png) or hub:OWNER/NAME, each its held-out part; or an .npz file "
    "with 'images' [N, C, H, W] and perhaps 'labels' [N], or with 'test_images' and 'test_labels'."
)
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Images = Annotated[int, typer.Option(callback=_at_least_one, help="How many images, from the first.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON.")]
Checkpoint = Annotated[str, typer.Argument(metavar="CKPT", help="A checkpoint file, or the name of a shipped one.")]


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
