"""Checkpoints: safetensors with the configuration in their metadata."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from .config import Config, ConfigError
from .files import write_atomically
from .model import SpikingTransformer, create_model

SHIPPED = Path(__file__).parent / "checkpoints"
SUFFIX = ".safetensors"
LISTED_KEYS = 3  # an error names this many keys of each sort


class CheckpointError(ValueError):
    """A file that is no checkpoint, or whose contents do not fit its model."""


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    found = {"python": platform.python_version()}
    for package in ("qkformer", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def save_checkpoint(model: SpikingTransformer, path: str | Path, **metadata: Any) -> Path:
    """Write a model's state dict and configuration, atomically; returns the path.

    Args:
        model: a model of `create_model`.
        path: where to; by convention it ends in `.safetensors`.
        metadata: anything JSON can hold (seed, accuracy, command); `read_metadata` returns it.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    header = {
        "config": json.dumps(model.config.to_dict()),
        "metadata": json.dumps({"versions": versions(), **metadata}),
    }
    return write_atomically(path, lambda file: safetensors.torch.save_file(tensors, file, header))


def shipped_checkpoints() -> tuple[str, ...]:
    """Names of the checkpoints inside the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}")))


def find_checkpoint(name: str | Path) -> Path:
    """The path itself if there is such a file, else the checkpoint of that name inside the package.

    Raises:
        CheckpointError: neither exists.
    """
    path = Path(name)
    shipped = SHIPPED / f"{name}{SUFFIX}"
    if not path.is_file() and path.name == str(name) and shipped.is_file():
        return shipped
    if not path.is_file():
        names = ", ".join(shipped_checkpoints())
        raise CheckpointError(f"{name}: no such file, and no shipped checkpoint of that name; shipped are {names}")
    return path


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What `save_checkpoint` was given as metadata, with `versions`.

    Raises:
        CheckpointError: no such file, or not written by `save_checkpoint`.
    """
    return _open(find_checkpoint(path))[1]


def load_checkpoint(path: str | Path) -> tuple[SpikingTransformer, Config]:
    """A model in evaluation mode with the weights of a file, and its configuration.

    Args:
        path: a file written by `save_checkpoint`, or the name of a shipped checkpoint (`qkformer-digits`).

    Raises:
        CheckpointError: no such file, not a checkpoint, or weights that do not fit the configuration.
    """
    path = find_checkpoint(path)
    config, _, tensors = _open(path)
    model = create_model(config)
    load_weights(model, tensors, path)
    return model.eval(), config


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy a state dict into a model of exactly these keys and shapes.

    Raises:
        CheckpointError: keys that are missing, unexpected or of another shape; `source` and the first are named.
    """
    if problems := differences(model.state_dict(), tensors):
        raise CheckpointError(f"{source} does not fit {model.config.name}: {problems}")
    model.load_state_dict(dict(tensors))


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """How two state dicts differ in keys and shapes, in one line; empty if they do not."""
    shapes = [
        f"{key} is {list(found[key].shape)} instead of {list(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    kinds = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of another shape": shapes,
    }
    return "; ".join(f"{len(keys)} {kind} ({_first(keys)})" for kind, keys in kinds.items() if keys)


def _first(keys: list[str]) -> str:
    rest = len(keys) - LISTED_KEYS
    return ", ".join(keys[:LISTED_KEYS]) + (f" and {rest} more" if rest > 0 else "")


def _open(path: Path) -> tuple[Config, dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error
    if "config" not in header:
        raise CheckpointError(f"{path}: a safetensors file without a configuration in its metadata")
    try:
        config = Config.from_dict(json.loads(header["config"]))
        metadata = json.loads(header.get("metadata", "{}"))
    except (ConfigError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: its configuration cannot be read: {error}") from error
    return config, metadata, tensors
