"""`qkformer demo`: the whole way on real handwritten digits, from the shipped checkpoint to Lava."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.markup import escape
from rich.table import Table

import hardware
from export import quantize

from ..checkpoint import load_checkpoint
from .options import Images, Json, accuracy, check_writable, load_calibration, load_inputs, write_json
from .show import certificate_table, console, count_kinds, parity_table, percent, progress, verdict
from .targets import LAVA_OWN, Sections, lava_processes
from .verify import prove

CHECKPOINT = "qkformer-digits"
DATA = "digits"
BATCH = 60

Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write the results.")]


def demo(
    images: Images = 16, output: Output = Path("runs/demo"), sections: Sections = LAVA_OWN, json: Json = None
) -> None:
    """Quantize the shipped checkpoint, export it, run real images in Lava, and compare every spike."""
    check_writable(output / "parity.json", json)
    model, config = load_checkpoint(CHECKPOINT)
    pictures, labels = load_inputs(DATA)
    fixed = quantize(model, load_calibration(DATA, config))
    scores = {"float": [], "fixed": []}
    batches = pictures.split(BATCH)
    with progress(f"float and fixed model, {len(pictures)} images") as report, torch.no_grad():
        for done, batch in enumerate(batches, start=1):
            scores["float"].append(model(batch))
            scores["fixed"].append(fixed(batch))
            report(done, len(batches))
    held_out = {name: accuracy(torch.cat(parts), labels) for name, parts in scores.items()}
    result, run = prove(model, fixed, pictures[:images], labels[:images], ["interpreter", "lava"], output, sections)

    plan = hardware.schedule(hardware.flatten(run["graph"]))
    kinds = Counter(type(node).__name__ for node in run["graph"].nodes.values())
    images = min(images, len(pictures))
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
