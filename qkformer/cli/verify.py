"""`qkformer verify`: prove that a checkpoint's fixed model spikes alike in PyTorch, the interpreter and Lava."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

import hardware
from export import FixedModel, check_targets, quantize, reference_trace, to_nir, write_graph

from ..checkpoint import load_checkpoint
from ..files import write_atomically
from ..model import SpikingTransformer
from .options import (
    Checkpoint,
    Data,
    Images,
    Json,
    accuracy,
    check_writable,
    command_line,
    load_calibration,
    load_inputs,
    versions,
    write_json,
)
from .show import console, parity_table, percent, say, verdict
from .targets import LAVA_OWN, Sections, run_target

REFERENCE = "torch"
RASTER_POPULATIONS = 6
RASTER_IMAGES = 8

Against = Annotated[str, typer.Option(help="What to compare, separated by commas: torch, interpreter, lava.")]
Report = Annotated[Path, typer.Option(metavar="DIR", help="Where to write graph, traces, parity.json and picture.")]


def verify(
    checkpoint: Checkpoint,
    against: Against = "torch,interpreter,lava",
    data: Data = "digits",
    images: Images = 8,
    report: Report = Path("runs/verify"),
    sections: Sections = LAVA_OWN,
    json: Json = None,
) -> None:
    """Compare every spike; exit status 1 if one differs."""
    targets = [target.strip() for target in against.split(",")]
    targets = [target for target in targets if target != REFERENCE]
    check_targets(targets)
    check_writable(report / "parity.json", json)
    model, config = load_checkpoint(checkpoint)
    pictures, labels = load_inputs(data, images)
    fixed = quantize(model, load_calibration(data, config))
    result, _ = prove(model, fixed, pictures, labels, targets, report, sections)
    console.print(parity_table(result))
    if result.accuracy:
        scores = ", ".join(f"{name} {percent(share)}" for name, share in result.accuracy.items())
        say(f"accuracy on {len(pictures)} images: {scores}")
    say(f"report: {report / 'parity.json'}")
    console.print(verdict(result))
    write_json(json, result.to_dict())
    if result.mismatches:
        raise typer.Exit(1)


def prove(
    model: SpikingTransformer,
    fixed: FixedModel,
    images: Tensor,
    labels: Tensor | None,
    targets: list[str],
    folder: Path,
    sections: int = LAVA_OWN,
) -> tuple[hardware.ParityReport, dict[str, Any]]:
    """Export, read back, run on every target, compare, and write all of it to a folder.

    Returns the report, the graph that was read back, and the seconds that each target took.
    """
    write_graph(to_nir(fixed), folder / "model.nir")
    graph = hardware.read_graph(folder / "model.nir")
    reference = reference_trace(fixed, images)
    traces, seconds = {}, {}
    for target in targets:
        traces[target], seconds[target] = run_target(target, graph, fixed.encode(images), sections)
    with torch.no_grad():
        logits = {"float": model(images), "fixed": fixed(images)}
    for target, trace in traces.items():
        logits[target] = torch.from_numpy(fixed.encoding.logits(trace["output"]))
        trace.save(folder / f"trace-{target}.npz")
    reference.save(folder / "trace-torch.npz")
    result = hardware.combine(
        {target: hardware.compare(reference, trace) for target, trace in traces.items()},
        accuracy={} if labels is None else {name: accuracy(scores, labels) for name, scores in logits.items()},
        versions=versions(),
    )
    record = result.to_dict() | {
        "command": command_line(),
        "images": len(images),
        "sections": sections,
        "seconds": seconds,
    }
    text = json_format.dumps(record, indent=2) + "\n"
    write_atomically(folder / "parity.json", lambda temporary: temporary.write_text(text))
    last = targets[-1]
    few = {name: values[:, :RASTER_IMAGES] for name, values in reference.items()}
    same = {name: values[:, :RASTER_IMAGES] for name, values in traces[last].items()}
    hardware.draw_raster(
        few, same, folder / "raster.png", _spread(list(reference)), names=("PyTorch", last.capitalize())
    )
    return result, {"graph": graph, "seconds": seconds}


def _spread(populations: list[str]) -> list[str]:
    """A few populations from the first to the last, without the output's counts."""
    spiking = [name for name in populations if name != "output"]
    count = min(RASTER_POPULATIONS, len(spiking))
    return [spiking[round(i * (len(spiking) - 1) / max(1, count - 1))] for i in range(count)]
