"""`qkformer verify`: climb from the float model to the targets, rung by rung, and explain the first spike that differs.

Exit status: 0 every spike that must be equal is, 1 an error was found, 2 could not run.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer
from torch import Tensor

from export import Ladder, find_leaks, quantize, run_ladder
from export.ladder.climb import BUNDLE
from hardware import PackedTrace, ParityReport, get_chip, write_report
from hardware.errors import InputError
from hardware.report.owned_folder import check_owned
from hardware.targets.interface import Target, check_options, require
from hardware.targets.registry import all_targets, get_targets

from ..checkpoints.checkpoint import find_checkpoint, load_checkpoint
from ..data.inputs import load_calibration, load_inputs
from ..models.config import Config
from ..models.model import SpikingTransformer
from .outputs import check_writable
from .record import command_line, versions, write_json, write_record
from .running import say_notes
from .saturation import describe_saturation, saturation
from .show import console, findings, ladder_table, parity_table, percent, progress, say, show_table, verdict

REFERENCE = "torch"
FILES = ("parity.json", "model.nir", "report.html")
TITLES = {"fixed": "PyTorch", "read back": "Graph read back"}  # of the rungs that are no targets


def run_verification(
    checkpoint: str,
    against: str,
    data: str,
    count: int,
    label: str | None,
    folder: Path,
    sections: int | None,
    how: Mapping[str, Any],
    traces: tuple[Path | None, Path | None],
    chip: str,
    json: Path | None,
) -> None:
    """Compare every spike, from the float model to the targets. how: what `run_ladder` takes as it is.

    traces: where to write PyTorch's, and the one to load in its place.
    """
    chosen = chosen_targets(against)
    options = lava_options(chosen, sections)
    save_trace, load_trace = traces
    check_writable(
        *(folder / name for name in FILES),
        save_trace,
        json,
        reads=(find_checkpoint(checkpoint), data, load_trace),
        folders=[folder / BUNDLE],
    )
    check_owned(folder / BUNDLE)
    reference = PackedTrace.load(load_trace, how["memory_limit"]) if load_trace else None
    model, config = load_checkpoint(checkpoint)
    images, labels = load_inputs(data, config, count=count, label=label)
    record: dict[str, Any] = {"images": len(images), "sections": sections}
    if leaks := _leaking(model, config, images):
        leaking = ParityReport((), None, versions=versions(), leaks=leaks)
        finish(leaking, None, chosen, folder, config.name, record, json)
    fixed = quantize(model, load_calibration(data, config, label=label), chip=get_chip(chip))
    record["inputs"] = saturation(fixed.encoding, images)
    ladder = run_ladder(
        model,
        fixed,
        images,
        folder,
        labels=labels,
        targets=chosen,
        options=options,
        reference=reference,
        versions=versions(),
        watch=progress,
        **how,
    )
    if save_trace:
        ladder.stages["fixed"].trace.save(save_trace)
        say(f"trace: {save_trace}")
    record["seconds"] = {name: rung.seconds for name, rung in ladder.stages.items()}
    if "lava" in chosen:
        record["sections"] = chosen["lava"].describe(ladder.graph, **options.get("lava", {})).get("sections")
    finish(ladder.report, ladder, chosen, folder, config.name, record, json)


def chosen_targets(against: str) -> dict[str, Target]:
    """The targets of --against, which are there. Raises InputError and NotAvailableError."""
    names = [name.strip() for name in against.split(",")]
    chosen = get_targets(name for name in names if name != REFERENCE)
    if not chosen:
        raise InputError(f"--against is '{against}': no target to compare; there are {', '.join(all_targets())}")
    for target in chosen.values():
        require(target)
    return chosen


def lava_options(chosen: Mapping[str, Target], sections: int | None) -> dict[str, dict[str, Any]]:
    """--sections is an option of the target lava, and of those that have it as well."""
    if sections is None:
        return {}
    takers = {
        name: {"sections": sections} for name, target in chosen.items() if "sections" in getattr(target, "options", {})
    }
    if not takers:
        check_options(next(iter(chosen.values())), {"sections": sections})
    return takers


def _leaking(model: SpikingTransformer, config: Config, images: Tensor) -> tuple[Any, ...]:
    """The leaks of a model that is known to leak, and could not be quantized."""
    if not config.batch_leak:
        return ()
    with progress("samples alone and in company"):
        return find_leaks(model, images)


def finish(
    result: ParityReport,
    ladder: Ladder | None,
    chosen: Mapping[str, Target],
    folder: Path,
    name: str,
    record: dict[str, Any],
    json: Path | None,
) -> NoReturn:
    """Print the outcome, write parity.json and report.html, and end with the exit status."""
    notes = say_notes(chosen.values())
    record = result.to_dict() | {"command": command_line()} | record | {"notes": notes}
    write_record(folder / "parity.json", record)
    titles = TITLES | {target.name: getattr(target, "title", target.name) for target in chosen.values()}
    sides = [ladder.stages[stage] for stage in _drawn(ladder, titles)] if ladder else []
    note = describe_saturation(record["inputs"]) if "inputs" in record else None
    traces: list[Mapping[str, Any]] = [side.trace for side in sides] or [{}, {}]
    write_report(
        folder / "report.html",
        result,
        *traces,
        title=f"{name}, {record['images']} images",
        names=(titles[sides[0].name], titles[sides[1].name]) if sides else ("", ""),
        about={"command": record["command"], "images": str(record["images"])} | ({"inputs": note} if note else {}),
    )
    if ladder:
        show_table(ladder_table(result))
        show_table(parity_table(result))
    if result.accuracy:
        scores = ", ".join(f"{stage} {percent(share)}" for stage, share in result.accuracy.items())
        say(f"accuracy on {record['images']} images: {scores}")
    if note:
        say(f"note: {note}")
    say(f"report: {folder / 'parity.json'}, {folder / 'report.html'}")
    if ladder and ladder.script:
        say(f"to reproduce: python {shlex.quote(str(ladder.script))}")
    for line in (*findings(result), *verdict(result)):
        console.print(line, soft_wrap=True)
    write_json(json, record)
    raise typer.Exit(1 if result.findings else 0)


def _drawn(ladder: Ladder, titles: Mapping[str, str]) -> tuple[str, str]:
    """Which two rungs to draw: those of the first divergence, else the first and the last that must be equal."""
    if ladder.report.explanation:
        stage = ladder.report.explanation.divergence.target
        return next(step.against for step in ladder.report.ladder if step.stage == stage), stage
    exact = [name for name in ladder.stages if name in titles]
    return exact[0], exact[-1]
