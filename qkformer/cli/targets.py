"""`qkformer targets`: what a graph can run on here, and what is missing for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hardware.targets.interface import Target
from hardware.targets.registry import all_targets


def show_targets(json: Path | None) -> None:
    """Print the table of targets: name, whether it is available, options, and what it is."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("target", "available", "options", "what it is"):
        table.add_column(column, overflow="fold")
    rows = [_row(name, target) for name, target in all_targets().items()]
    for row in rows:
        reason = f"[red]no[/]: {escape(row['reason'])}" if row["reason"] else "[green]yes[/]"
        table.add_row(escape(row["name"]), reason, ", ".join(row["options"]), escape(row["description"]))
    Console().print(table)
    if json:
        from .record import check_writable, write_json

        check_writable(json)
        write_json(json, {"targets": rows})


def _row(name: str, target: Target) -> dict[str, Any]:
    return {
        "name": name,
        "available": target.available() is None,
        "reason": target.available(),
        "options": list(getattr(target, "options", {})),
        "description": getattr(target, "description", ""),
    }
