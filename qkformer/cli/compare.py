"""`qkformer compare`: two traces value by value.

Exit status: 0 equal, 1 different, 2 not comparable.
"""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

import hardware
from hardware import PackedTrace, ParityReport
from hardware.errors import TraceError
from hardware.parity.explanation import Divergence

from .outputs import check_writable
from .record import write_json
from .show import progress, say, show_table, table

MEMORY_LIMIT = 256  # megabytes of packed values of each trace; the rest goes to disk
FINGERPRINTS = ("graph", "inputs")
FIELDS = ("mismatches", "compared", "populations", "first_divergence")  # as in parity.json


def compare_traces(first: Path, second: Path, json: Path | None) -> None:
    """Compare two traces value by value; exit status 1 if one differs, TraceError if they cannot be compared."""
    check_writable(json, reads=(first, second))
    traces = [PackedTrace.load(path, MEMORY_LIMIT) for path in (first, second)]
    for path, trace in zip((first, second), traces, strict=True):
        if not trace:
            raise TraceError(f"{path}: holds no population; there is nothing to compare")
    others = different_fingerprints(*traces)
    with progress("comparing populations") as report:
        result = hardware.compare(*traces, names=(str(first), str(second)), progress=report)
    if others:
        say(f"note: the traces are of different {' and '.join(others)}, by their fingerprints")
    if result.mismatches:
        show_table(_differences(result))
    say(f"{result.mismatches:,} of {result.compared:,} values differ")
    if result.first_divergence:
        say(_where(result.first_divergence, first, second))
    found = result.to_dict()
    record = {"traces": [str(first), str(second)], "different_fingerprints": others}
    write_json(json, record | {field: found[field] for field in FIELDS})
    raise typer.Exit(1 if result.mismatches else 0)


def different_fingerprints(first: PackedTrace, second: PackedTrace) -> list[str]:
    """Which of graph and inputs two traces both name, and name differently."""
    return [
        what
        for what in FINGERPRINTS
        if what in first.about and what in second.about and first.about[what] != second.about[what]
    ]


def _differences(result: ParityReport) -> Table:
    """The populations that differ, in execution order."""
    rows = table("Populations that differ", "population", "values", "differ")
    for population in result.populations:
        if population.mismatches:
            rows.add_row(population.name, f"{population.compared:,}", f"{population.mismatches:,}")
    return rows


def _where(divergence: Divergence, first: Path, second: Path) -> str:
    return (
        f"first: {divergence.population}, time step {divergence.time_step}, sample {divergence.sample}, "
        f"neuron {list(divergence.neuron)}: {divergence.reference} in {first}, {divergence.value} in {second}"
    )
