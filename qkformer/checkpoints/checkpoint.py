"""Checkpoints: our own, safetensors with the configuration in their metadata, and the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ..models.config import Config, ConfigError
from ..models.model import SpikingTransformer, create_model
from .errors import CheckpointError, check_file, read_table
from .recognize import recognize
from .state_dict import StateDictFile, read_state_dict
from .versions import versions
from .weights import check_weights
from .writing import write_whole

SHIPPED = Path(__file__).parent
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself, or what its weights say of it.

    `layout`: the kind of file and how its weights were packed. `recognized`: the configuration is not written in
    the file but follows from its keys and shapes. `metadata`: what `save_checkpoint` was given; empty for a
    published file.
    """

    path: Path
    layout: str
    config: Config
    recognized: bool
    metadata: Mapping[str, Any]


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
    return write_whole(path, lambda file: safetensors.torch.save_file(tensors, file, header))


def shipped_checkpoints() -> tuple[str, ...]:
    """Names of the checkpoints inside the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}")))


def find_checkpoint(name: str | Path) -> Path:
    """The path itself if there is such a file, else the checkpoint of that name inside the package.

    Raises:
        CheckpointError: neither exists, or it is a folder, a device or a pipe.
    """
    path = Path(name)
    if str(name) in shipped_checkpoints() and not path.is_file():
        return SHIPPED / f"{name}{SUFFIX}"
    if str(name).strip() and path.exists():
        check_file(path)
        return path
    given, shipped = str(name) or repr(""), ", ".join(shipped_checkpoints())
    raise CheckpointError(f"{given}: no such file; checkpoints shipped by name are {shipped}")


def load_checkpoint(path: str | Path, **overrides: Any) -> tuple[SpikingTransformer, Config]:
    """A model in evaluation mode with the weights of a file, and its configuration.

    Args:
        path: a file of `save_checkpoint`, a published one, or the name of a shipped checkpoint.
        overrides: fields of `Config` to change, as in `load_checkpoint(path, batch_leak=True)`.

    Raises:
        CheckpointError: no such file, not a checkpoint, or weights that fit no configuration.
        ConfigError: an override that does not fit.
    """
    info, contents = _open(find_checkpoint(path))
    config = info.config.replace(**overrides)
    try:
        with torch.device("meta"):  # shapes only: a file may describe more than it holds, and more than memory does
            expected = create_model(config).state_dict()
    except ConfigError as error:
        raise CheckpointError(f"{path}: its configuration is of no model: {error}") from error
    weights = check_weights(path, expected, contents.tensors, config.name)
    model = create_model(config)
    model.load_state_dict(weights)
    return model.eval(), config


def inspect_checkpoint(path: str | Path) -> CheckpointInfo:
    """What is in a file, without building its model.

    Raises:
        CheckpointError: no such file, not a checkpoint, or weights that fit no configuration.
    """
    return _open(find_checkpoint(path))[0]


def read_metadata(path: str | Path) -> Mapping[str, Any]:
    """What `save_checkpoint` was given as metadata, with `versions`; raises as `inspect_checkpoint`."""
    return inspect_checkpoint(path).metadata


def _open(path: Path) -> tuple[CheckpointInfo, StateDictFile]:
    contents = read_state_dict(path)
    if "config" not in contents.header:
        config = recognize(contents.tensors, path)
        return CheckpointInfo(path, contents.layout, config, recognized=True, metadata={}), contents
    described = read_table(contents.header["config"], f"{path}: its configuration")
    metadata = read_table(contents.header.get("metadata", "{}"), f"{path}: its metadata")
    try:
        config = Config.from_dict(described)
    except ConfigError as error:
        raise CheckpointError(f"{path}: its configuration cannot be read: {error}") from error
    return CheckpointInfo(path, contents.layout, config, recognized=False, metadata=metadata), contents
