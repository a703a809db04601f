"""`qkformer demo`: the whole way on real handwritten digits, from the shipped checkpoint to Lava."""

from __future__ import annotations

import json as json_format
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.markup import escape
from rich.table import Table
from torch import Tensor

import hardware
from export import FixedModel, quantize, reference_trace, to_nir, write_graph
from hardware.files import write_atomically

from ..checkpoints.checkpoint import load_checkpoint
from ..data.inputs import load_calibration, load_inputs
from ..models.model import SpikingTransformer
from .options import (
    Images,
    Json,
    accuracy,
    check_writable,
    command_line,
    versions,
    write_json,
)
from .show import certificate_table, console, count_kinds, parity_table, percent, progress, verdict
from .targets import LAVA_OWN, Sections, lava_processes, run_target

CHECKPOINT = "qkformer-digits"
DATA = "digits"
BATCH = 60
RASTER_POPULATIONS = 6
RASTER_IMAGES = 8

Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write the results.")]


def demo(
    images: Images = 16, output: Output = Path("runs/demo"), sections: Sections = LAVA_OWN, json: Json = None
) -> None:
    """Quantize the shipped checkpoint, export it, run real images in Lava, and compare every spike."""
    check_writable(output / "parity.json", json)
    model, config = load_checkpoint(CHECKPOINT)
    inputs, labels = load_inputs(DATA, config)
    fixed = quantize(model, load_calibration(DATA, config))
    scores = {"float": [], "fixed": []}
    batches = inputs.split(BATCH)
    with progress(f"float and fixed model, {len(inputs)} images") as report, torch.no_grad():
        for done, batch in enumerate(batches, start=1):
            scores["float"].append(model(batch))
            scores["fixed"].append(fixed(batch))
            report(done, len(batches))
    held_out = {name: accuracy(torch.cat(parts), labels) for name, parts in scores.items()}
    result, run = prove(model, fixed, inputs[:images], labels[:images], ["interpreter", "lava"], output, sections)

    plan = hardware.schedule(hardware.flatten(run["graph"]))
    kinds = Counter(type(node).__name__ for node in run["graph"].nodes.values())
    images = min(images, len(inputs))
    steps = plan.steps(images, config.time_steps)
    processes = lava_processes(plan, sections)
    console.print(certificate_table(fixed.certificate))
    console.print(parity_table(result))
    parameters = sum(p.numel() for p in model.parameters())
    lines = {
        "model": f"{config.name}, {parameters:,} parameters, T = {config.time_steps}",
        "accuracy": f"float {percent(held_out['float'])}, fixed {percent(held_out['fixed'])} "
        f"on {len(labels)} held-out digits",
        "certificate": "every layer" if fixed.certificate.certified else "not every layer",
        "NIR": f"{len(run['graph'].nodes)} nodes: {count_kinds(kinds)}",
        "Lava": f"{processes} processes, {steps} time steps for {images} images streamed back to back, "
        f"{run['seconds']['lava']:.1f} s",
        "files": f"{escape(str(output))}/ (model.nir, trace-*.npz, parity.json, raster.png)",
    }
    summary = Table.grid(padding=(0, 2))
    for name, text in lines.items():
        summary.add_row(f"[bold]{name}[/]", text)
    console.print(summary)
    console.print(verdict(result))
    write_json(
        json,
        result.to_dict()
        | {
            "held_out_accuracy": held_out,
            "certificate": fixed.certificate.to_list(),
            "nir_nodes": dict(kinds),
            "lava_processes": processes,
            "time_steps": steps,
            "seconds": run["seconds"],
        },
    )
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
