"""State dicts: read from any file they are released in, without running anything, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
from torch import Tensor

from ..models.schema import shown
from .errors import CheckpointError, check_file, read_table
from .pickle_file import check_plain, read_pickle

WRAPPERS = ("state_dict", "model")  # what timm and MAE-style training scripts call the weights in their files
PREFIX = "module."  # put before every key by DistributedDataParallel
LISTED_KEYS = 3  # an error names this many keys of each sort
LENGTH = 8  # bytes before the JSON header of a safetensors file, which begins with a brace


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
    check_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(LENGTH + 1)
            if start[LENGTH:] == b"{" or path.suffix == ".safetensors":
                length = int.from_bytes(start[:LENGTH], "little")
                file.seek(LENGTH)
                return _read_safetensors(path, file.read(length) if length <= path.stat().st_size else b"")
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    return _unwrap(path, read_pickle(path))


def _read_safetensors(path: Path, header: bytes) -> StateDictFile:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            read_table(header, f"{path}: the header")  # safetensors takes the last of two entries of one name
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = file.metadata() or {}
    except CheckpointError:
        raise
    except Exception as error:  # whatever it raises is the file's fault, and of several types
        raise CheckpointError(f"{path}: not a whole safetensors file ({_first_line(error)})") from error
    tensors, prefix = _without_prefix(tensors)
    return StateDictFile(tensors, metadata, "safetensors" + prefix)


def _first_line(error: Exception) -> str:
    return shown(str(error)).strip("'\"")


def _unwrap(path: Path, contents: Any) -> StateDictFile:
    layout = "pickle"
    for wrapper in WRAPPERS:
        if isinstance(contents, Mapping) and isinstance(contents.get(wrapper), Mapping):
            contents, layout = contents[wrapper], f"pickle, wrapped as {wrapper!r}"
            break
    if not isinstance(contents, Mapping) or not contents:
        raise CheckpointError(f"{path}: holds no state dict, but a {type(contents).__name__}")
    for key, value in contents.items():
        if not isinstance(key, str):
            raise CheckpointError(f"{path}: holds no state dict: {shown(key)} is no name of a tensor")
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise CheckpointError(f"{path}: holds no state dict: {shown(key)} is a {kind}, not a tensor")
        check_plain(f"{path}: {shown(key)}", value)
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
        "unexpected": [shown(key).strip("'") for key in found if key not in expected],
        "of another shape": [
            f"{key} is {shown(list(found[key].shape))} instead of {list(expected[key].shape)}"
            for key in expected
            if key in found and found[key].shape != expected[key].shape
        ],
    }
    return "; ".join(f"{len(keys)} {kind} ({_first(keys)})" for kind, keys in kinds.items() if keys)


def _first(keys: list[str]) -> str:
    rest = len(keys) - LISTED_KEYS
    return ", ".join(keys[:LISTED_KEYS]) + (f" and {rest} more" if rest > 0 else "")
