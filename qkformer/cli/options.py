"""What the commands share: options, inputs, and the record of what was run."""

from __future__ import annotations

import json
import shlex
import sys
import zipfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from ..checkpoint import versions
from ..data import DATA_SETS, load_data
from ..files import write_atomically

DATA_HELP = (
    f"{', '.join(DATA_SETS)} (held-out part), or an .npz with 'images' [N, C, H, W] and perhaps 'labels' [N]."
)
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Images = Annotated[int, typer.Option(min=1, help="How many images, from the first.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON.")]
Checkpoint = Annotated[
    str, typer.Argument(metavar="CKPT", help="A checkpoint file, or the name of a shipped one.")
]


def load_inputs(data: str, count: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Images [N, ...] and labels [N] (None if the file has none) of a data set or an .npz file.

    Raises ValueError for a name or file that is neither.
    """
    if data in DATA_SETS:
        images, labels = load_data(data, "test")
    else:
        path = Path(data)
        if path.suffix != ".npz" or not path.is_file():
            raise ValueError(
                f"--data is '{data}', which is neither an .npz file nor one of: {', '.join(DATA_SETS)}"
            )
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: not a readable .npz file: {error}") from error
        if "images" not in arrays:
            raise ValueError(f"{path}: has {', '.join(arrays) or 'no arrays'}; an array 'images' is needed")
        if not np.issubdtype(arrays["images"].dtype, np.number):
            raise ValueError(f"{path}: 'images' is of type {arrays['images'].dtype}; numbers are needed")
        images = torch.from_numpy(arrays["images"].astype(np.float32))
        labels = torch.from_numpy(arrays["labels"].astype(np.int64)) if "labels" in arrays else None
        if labels is not None and labels.shape != images.shape[:1]:
            raise ValueError(f"{path}: {len(images)} images but labels of shape {list(labels.shape)}")
    return images[:count], None if labels is None else labels[:count]


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
