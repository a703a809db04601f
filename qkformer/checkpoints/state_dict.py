"""State dicts: read from any file they are released in, without running anything, and compared."""

from __future__ import annotations

import argparse
import codecs
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import torch
from torch import Tensor

from hardware.errors import UserError

WRAPPERS = ("state_dict", "model")  # what timm and MAE-style training scripts call the weights in their files
PREFIX = "module."  # put before every key by DistributedDataParallel
LISTED_KEYS = 3  # an error names this many keys of each sort
SAFETENSORS_HEADER = slice(8, 9)  # after the length, a safetensors file opens its JSON header with a brace

# Plain data that training scripts leave beside the weights: their argument lists, and NumPy scalars (an accuracy).
_numpy_scalar = np.float64(0).__reduce__()[0]
PLAIN_DATA: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float32", "float64", "int64")),
    *((_numpy_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (codecs.encode, "_codecs.encode"),
]


class CheckpointError(UserError, ValueError):
    """A file that is no checkpoint, or whose contents do not fit its model."""


class StateDictFile(NamedTuple):
    """The weights in a file, how they were packed (`layout`), and a safetensors file's metadata (`header`)."""

    tensors: dict[str, Tensor]
    header: dict[str, str]
    layout: str


def read_state_dict(path: str | Path) -> StateDictFile:
    """Read `.safetensors`, `.pth` or `.pth.tar`; weights may be bare, or wrapped as `model` or `state_dict`.

    The content tells a safetensors file, whatever its name. Pickles are read with `weights_only=True`: whatever
    else they hold, no code of theirs runs.

    Raises:
        CheckpointError: not such a file, cut short, without weights, or one that asks for code to be run.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(SAFETENSORS_HEADER.stop)
        if start[SAFETENSORS_HEADER] == b"{" or path.suffix == ".safetensors":
            return _read_safetensors(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    return _unwrap(path, read_pickle(path))


def _read_safetensors(path: Path) -> StateDictFile:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            header = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error
    tensors, prefix = _without_prefix(tensors)
    return StateDictFile(tensors, header, "safetensors" + prefix)


def read_pickle(path: Path) -> Any:
    """What `torch.save` wrote, read with `weights_only=True` on the CPU.

    Raises:
        CheckpointError: not such a file, cut short, or one that asks for code to be run.
    """
    try:
        with torch.serialization.safe_globals(PLAIN_DATA), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on pickle protocols; the errors below say what matters
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            reason = f"it asks to run {wanted[1]}; a checkpoint may hold only tensors and plain data"
            raise CheckpointError(f"{path}: refused, because {reason}") from error
        raise CheckpointError(f"{path}: not a checkpoint, or damaged") from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError, OSError) as error:
        # torch raises any of these for a file that is cut short.
        raise CheckpointError(f"{path}: not a checkpoint, or damaged") from error


def _unwrap(path: Path, contents: Any) -> StateDictFile:
    layout = "pickle"
    for wrapper in WRAPPERS:
        if isinstance(contents, Mapping) and isinstance(contents.get(wrapper), Mapping):
            contents, layout = contents[wrapper], f"pickle, wrapped as {wrapper!r}"
            break
    if not isinstance(contents, Mapping) or not contents:
        raise CheckpointError(f"{path}: holds no state dict, but a {type(contents).__name__}")
    for key, value in contents.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: holds no state dict: {key!r} is a {type(value).__name__}, not a tensor")
    tensors, prefix = _without_prefix(contents)
    return StateDictFile(tensors, {}, layout + prefix)


def _without_prefix(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    if not all(key.startswith(PREFIX) for key in tensors):
        return dict(tensors), ""
    return {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}, f", with prefix {PREFIX!r}"


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How two state dicts differ in keys and shapes, in one line; empty if they do not."""
    kinds = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of another shape": [
            f"{key} is {list(found[key].shape)} instead of {list(expected[key].shape)}"
            for key in expected
            if key in found and found[key].shape != expected[key].shape
        ],
    }
    return "; ".join(f"{len(keys)} {kind} ({_first(keys)})" for kind, keys in kinds.items() if keys)


def _first(keys: list[str]) -> str:
    rest = len(keys) - LISTED_KEYS
    return ", ".join(keys[:LISTED_KEYS]) + (f" and {rest} more" if rest > 0 else "")
