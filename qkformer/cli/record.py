"""The record of what was run: command, versions, results."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hardware.files import write_atomically
from hardware.targets.registry import all_targets

from ..checkpoints import versions as basic


def versions() -> dict[str, str]:
    """The versions that results depend on, those of the targets included."""
    found = basic.versions()
    for target in all_targets().values():
        for package in getattr(target, "packages", ()):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "not installed"
    return found


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["qkformer", *sys.argv[1:]])


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write plain values as JSON, which has no NaN and no infinity: these become null."""
    text = json.dumps(_finite(record), indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    """Write a command's result with its versions and command line, if a file was asked for."""
    if path:
        write_record(path, {"command": command_line(), "versions": versions(), **result})


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value
