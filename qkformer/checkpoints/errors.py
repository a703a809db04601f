"""What can be wrong with a checkpoint or a training state, and the first look at a file."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hardware.errors import UserError

from ..models.schema import check_table, shown

MOST_DEPTH = 50  # of tables and lists in one another; whoever writes or prints them goes as deep
MOST_JSON = 16 << 20  # bytes; of published checkpoints it takes less than one hundredth of that


class CheckpointError(UserError, ValueError):
    """A file that is no checkpoint, or whose contents do not fit its model."""


def check_file(path: Path) -> None:
    """Raise CheckpointError unless there is a regular file; nothing is opened, for a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise CheckpointError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if stat.S_ISDIR(mode):
        raise CheckpointError(f"{path}: is a folder; give the name of a file")
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: is a device or pipe; a checkpoint is read from a file")


def read_table(text: str | bytes, what: str) -> Mapping[str, Any]:
    """A table from JSON, whose text somebody else wrote; `what` opens the message.

    Raises:
        CheckpointError: not JSON, not a table, too long or deep, a number too long, or a name that comes twice.
    """
    if len(text) > MOST_JSON:
        raise CheckpointError(f"{what} has {len(text):,} characters; at most {MOST_JSON:,} are read")
    try:
        found: Mapping[str, Any] = json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError as error:
        raise CheckpointError(f"{what} cannot be read: it is nested too deeply") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, an integer of too many digits
        raise CheckpointError(f"{what} cannot be read: {error}") from error
    check_table(found, CheckpointError, what)
    if _depth(found) > MOST_DEPTH:
        raise CheckpointError(f"{what} cannot be read: it is nested more than {MOST_DEPTH} deep")
    return found


def _depth(value: Any) -> int:
    """How many tables and lists are in one another."""
    depth, level = 0, [value]
    while level := [entry for entry in level if isinstance(entry, dict | list)]:
        depth += 1
        level = [inside for entry in level for inside in (entry.values() if isinstance(entry, dict) else entry)]
    return depth


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{shown(name)} comes twice")
        table[name] = value
    return table
