"""Writes docs/results.md from docs/results/*.json, and files results there.

    python benchmarks/results.py
    python benchmarks/results.py add NAME FILE.json ... [--command COMMAND] [--load WORDS]

NAME is that of a file in docs/results; FILE.json is what the `--json` of a benchmark or command wrote, several make a
list. `add` puts date and machine beside it. Which files a table is made of says the table's function.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
FOLDER, PAGE = DOCS / "results", DOCS / "results.md"

HEAD = """# Results

Written by `python benchmarks/results.py` from the files in `docs/results/`.
Each row says when it was measured, on what, and what else that machine did: one run each, so a time on a busy machine
is an upper bound and no more. Counts of spikes and accuracies do not depend on what else a machine does. What is dated
2026-11-22 stood in an earlier README and was taken over from there; the commands are those that repeat it.
"""


def load(name: str) -> dict[str, Any]:
    """One file of docs/results: command, date, machine, load and result."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def load_all(prefix: str) -> Iterator[dict[str, Any]]:
    """Those whose names begin so, by name."""
    return (load(path.stem) for path in sorted(FOLDER.glob(f"{prefix}*.json")))


def when(entry: dict[str, Any]) -> str:
    """The last column of every table."""
    return f"{entry['date']}, {entry['machine']}, {entry['load']}"


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], note: str = "") -> str:
    """A section with a table."""
    lines = [f"## {title}", "", *([note, ""] if note else [])]
    columns = [*columns, "measured"]
    lines += [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def demo() -> str:
    """What `qkformer demo` proves, and how long it takes."""
    entry, times, training = load("demo"), load("demo-seconds"), load("training-digits")
    result, scores = entry["result"], entry["result"]["held_out_accuracy"]
    rows = [
        ["spikes that differ", f"{result['mismatches']} of {result['compared']:,}", code(entry), when(entry)],
        ["accuracy on 360 held-out digits", accuracies(scores), code(entry), when(entry)],
        ["Lava, 16 images", f"{result['seconds']['lava']:.1f} s", code(entry), when(entry)],
        *([what, f"{n} s", code(times), when(times)] for what, n in times["result"]["seconds"].items()),
    ]
    trained = training["result"]
    figure = f"{trained['seconds']} s; {trained['note']}"
    rows.append([f"training, {trained['epochs']} epochs, one thread", figure, code(training), when(training)])
    return table("Digits: the demo", ["what", "figure", "command"], rows)


def shipped() -> str:
    """Accuracy of the checkpoints that ship over their whole test sets, and their way to Lava."""
    rows = []
    for entry in load_all("accuracy-"):
        result = entry["result"]
        images = f"{result['images']:,}"
        rows.append([f"`{result['checkpoint']}`", accuracies(result), images, code(entry), when(entry)])
    for entry in load_all("verify-"):
        result = entry["result"]
        for target, found in result["targets"].items():
            figure = f"{target}: {found['mismatches']} of {found['compared']:,} values differ"
            rows.append([f"`{result['checkpoint']}`", figure, str(result["images"]), code(entry), when(entry)])
    note = "Float and fixed model are different networks, so both accuracies stand here; no sample leaks into another."
    return table("Checkpoints that ship", ["checkpoint", "figure", "images", "command"], rows, note)


def published() -> str:
    """Published architectures on the targets."""
    rows = []
    for entry in load_all("published"):
        for network in entry["result"]["networks"]:
            for target, found in network["targets"].items():
                figure = f"{found['mismatches']} of {found['compared']:,}"
                seconds = "-" if found["seconds"] is None else f"{found['seconds']:g} s"
                size = f"{network['images']} of {network['image_size']} x {network['image_size']}"
                which = f"{network['name']} --images {network['images']} --targets {target}"
                command = f"`python benchmarks/published.py {which}`"
                rows.append([network["name"], size, target, figure, seconds, command, when(entry)])
    note = "Golden weights (drawn from names, not trained), PyTorch's fixed model against each target."
    columns = ["network", "images", "target", "values that differ", "time", "command"]
    return table("Published architectures", columns, rows, note)


def speed() -> str:
    """Time in Lava and of the ladder."""
    runs, bench, ladder = load("simulate-digits"), load("lava-speed"), load("ladder")
    rows = []
    for run in runs["result"]:
        how = f"{run['sections']} sections" if run["sections"] else "Lava's own processes"
        rows.append([f"qkformer-digits, {run['images']} images, {how}", f"{run['seconds']} s", code(runs), when(runs)])
    result = bench["result"]
    ours, stock = result["sections"], result["stock"]
    times = {
        "2 sections": f"{ours * 1e3:.1f} ms a time step, {ours / result['matrices']:.2f} times the bare products",
        "2 sections, an image": f"{result['image']:.3f} s",
        "Lava's own models": f"{stock:.1f} s a time step, {stock / ours:,.0f} times as long as the sections",
    }
    rows += ([f"{result['config']}, {how}", figure, code(bench), when(bench)] for how, figure in times.items())
    result = ladder["result"]
    figure = f"{result['seconds']} s, {result['gigabytes']} GB; {result['mismatches']} of {result['compared']:,} differ"
    rows.append(
        [f"ladder of {result['config']} without Lava, {result['images']} images", figure, code(ladder), when(ladder)]
    )
    return table("Time", ["what", "figure", "command"], rows)


def accuracies(scores: dict[str, float]) -> str:
    """Of the float and of the fixed model."""
    return f"float {scores['float']:.2%}, fixed {scores['fixed']:.2%}".replace("%", " %")


def code(entry: dict[str, Any]) -> str:
    """The command."""
    return f"`{entry['command']}`"


def page() -> str:
    """All of docs/results.md."""
    return "\n".join([HEAD, demo(), shipped(), published(), speed()])


def add(name: str, files: list[Path], command: str | None, load_words: str) -> None:
    """File results with date and machine."""
    results = [json.loads(file.read_text()) for file in files]
    result = results[0] if len(results) == 1 else results
    command = command or (result.pop("command", None) if isinstance(result, dict) else None)
    if not command:
        raise SystemExit(f"error: {files[0]} does not say by which command it was made; give --command")
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    entry = {"command": command, "date": date.today().isoformat(), "machine": machine, "load": load_words}
    (FOLDER / f"{name}.json").write_text(json.dumps(entry | {"result": result}, indent=2) + "\n")


def main() -> None:
    """File results if there are any, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    adding = parser.add_subparsers(dest="what").add_parser("add")
    adding.add_argument("name")
    adding.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    adding.add_argument("--command")
    adding.add_argument("--load", default="nothing beside it")
    options = parser.parse_args()
    if options.what == "add":
        add(options.name, options.files, options.command, options.load)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
