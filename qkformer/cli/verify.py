"""`qkformer verify`: climb from the float model to Lava, stage by stage, and explain the first spike that differs.

Exit status: 0 every spike that must be equal is, 1 an error was found, 2 could not run.
"""

from __future__ import annotations

import json as json_format
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

import hardware
from export import Ladder, check_targets, find_leaks, quantize, run_ladder
from hardware import PackedTrace, ParityReport, write_report
from hardware.files import write_atomically

from ..checkpoints.checkpoint import load_checkpoint
from ..data.inputs import load_calibration, load_inputs
from ..models.config import Config
from ..models.model import SpikingTransformer
from .options import (
    Checkpoint,
    Data,
    Images,
    Json,
    check_writable,
    command_line,
    versions,
    write_json,
)
from .show import console, findings, ladder_table, parity_table, percent, progress, say, verdict
from .targets import LAVA_OWN, Sections

REFERENCE, ONNX = "torch", "onnx"
NAMES = {
    "fixed": "PyTorch",
    "interpreter": "Interpreter",
    "read back": "Graph read back",
    "lava": "Lava",
    "onnx": "ONNX Runtime",
}


def _at_least_nothing(limit: float | None) -> float | None:
    if limit is not None and not limit >= 0:
        raise typer.BadParameter(f"{limit:g} MB; it must be at least 0")
    return limit


Against = Annotated[str, typer.Option(help="What to compare, separated by commas: torch, interpreter, lava, onnx.")]
Report = Annotated[
    Path, typer.Option(metavar="DIR", help="Where to write the graph, parity.json, report.html and perhaps a bundle.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first population that differs.")]
SaveTrace = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write PyTorch's spikes, to be verified on another machine.")
]
LoadTrace = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Compare with spikes that --save-trace wrote, and not with PyTorch.")
]
MemoryLimit = Annotated[
    float | None,
    typer.Option(
        callback=_at_least_nothing, metavar="MB", help="Of packed spikes, for each stage; the rest goes to disk."
    ),
]


def verify(
    checkpoint: Checkpoint,
    against: Against = "torch,interpreter,lava",
    data: Data = "digits",
    images: Images = 8,
    report: Report = Path("runs/verify"),
    sections: Sections = LAVA_OWN,
    fail_fast: FailFast = False,
    save_trace: SaveTrace = None,
    load_trace: LoadTrace = None,
    memory_limit: MemoryLimit = None,
    json: Json = None,
) -> None:
    """Compare every spike, from the float model to Lava; exit status 1 if one differs that must not."""
    targets = [target.strip() for target in against.split(",")]
    targets = [target for target in targets if target != REFERENCE]
    check_targets([target for target in targets if target != ONNX])
    check_writable(report / "parity.json", save_trace, json)
    reference = PackedTrace.load(load_trace, memory_limit) if load_trace else None
    model, config = load_checkpoint(checkpoint)
    inputs, labels = load_inputs(data, config, count=images)
    calibration = load_calibration(data, config)
    record = {"images": len(inputs), "sections": sections}
    leaks = _leaking(model, config, inputs)
    if leaks:
        found = ParityReport((), None, versions=versions(), leaks=leaks)
        _finish(found, None, report, config.name, record, json)
    ladder = run_ladder(
        model,
        quantize(model, calibration),
        inputs,
        report,
        labels=labels,
        targets=targets,
        run={"interpreter": hardware.interpret, "lava": partial(hardware.lava.simulate, sections=sections)},
        reference=reference,
        fail_fast=fail_fast,
        memory_limit=memory_limit,
        versions=versions(),
        watch=progress,
    )
    if save_trace:
        ladder.stages["fixed"].trace.save(save_trace)
        say(f"trace: {save_trace}")
    seconds = {name: stage.seconds for name, stage in ladder.stages.items()}
    _finish(ladder.report, ladder, report, config.name, record | {"seconds": seconds}, json)


def _leaking(model: SpikingTransformer, config: Config, images: Tensor) -> tuple:
    """The leaks of a model that is known to leak, and could not be quantized."""
    if not config.batch_leak:
        return ()
    with progress("samples alone and in company"):
        return find_leaks(model, images)


def _finish(
    result: ParityReport, ladder: Ladder | None, folder: Path, name: str, record: dict[str, Any], json: Path | None
) -> None:
    """Print the outcome, write parity.json and report.html, and end with the exit status."""
    record = result.to_dict() | {"command": command_line()} | record
    text = json_format.dumps(record, indent=2) + "\n"
    write_atomically(folder / "parity.json", lambda temporary: temporary.write_text(text))
    sides = [ladder.stages[stage] for stage in _drawn(ladder)] if ladder else []
    write_report(
        folder / "report.html",
        result,
        *([side.trace for side in sides] or [{}, {}]),
        title=f"{name}, {record['images']} images",
        names=tuple(NAMES[side.name] for side in sides) or ("", ""),
        about={"command": record["command"], "images": str(record["images"])},
    )
    if ladder:
        console.print(ladder_table(result))
        console.print(parity_table(result))
    if result.accuracy:
        scores = ", ".join(f"{stage} {percent(share)}" for stage, share in result.accuracy.items())
        say(f"accuracy on {record['images']} images: {scores}")
    say(f"report: {folder / 'parity.json'}, {folder / 'report.html'}")
    if ladder and ladder.script:
        say(f"to reproduce: python {ladder.script}")
    for line in findings(result):
        console.print(line, soft_wrap=True)
    console.print(verdict(result))
    write_json(json, record)
    raise typer.Exit(1 if result.findings else 0)


def _drawn(ladder: Ladder) -> tuple[str, str]:
    """Which two stages to draw: those of the first divergence, else the first and the last that must be equal."""
    if ladder.report.explanation:
        stage = ladder.report.explanation.divergence.target
        return next(step.against for step in ladder.report.ladder if step.stage == stage), stage
    exact = [name for name in ladder.stages if name in NAMES]
    return exact[0], exact[-1]
