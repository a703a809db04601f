"""`qkformer targets`: what a graph can run on here, and what is missing for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hardware.printable import printable
from hardware.targets.interface import Target
from hardware.targets.registry import all_targets

from .outputs import check_writable
from .record import write_json
from .running import say_notes
from .show import console


def show_targets(json: Path | None) -> None:
    """Print the table of targets: name, whether it is available, options, and what it is."""
    check_writable(json)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("target", "available", "options", "what it is"):
        table.add_column(column, overflow="fold")
    rows = [_row(name, target) for name, target in all_targets().items()]
    for row in rows:
        no = Text.assemble(("no", "red"), printable(f": {row['reason']}"))
        available = Text("yes", "green") if row["available"] else no
        table.add_row(row["name"], available, ", ".join(row["options"]), row["description"])
    console.print(table)
    say_notes(all_targets().values())
    write_json(json, {"targets": rows})


def _row(name: str, target: Target) -> dict[str, Any]:
    return {
        "name": name,
        "available": target.available() is None,
        "reason": target.available(),
        "note": getattr(target, "note", lambda: None)(),
        "options": list(getattr(target, "options", {})),
        "description": getattr(target, "description", ""),
    }
