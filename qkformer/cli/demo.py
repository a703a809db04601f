"""`qkformer demo`: the whole way on real handwritten digits, from the shipped checkpoint to Lava."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor

import hardware
from export import FixedModel, quantize, reference_trace, to_nir, write_graph
from hardware.targets.interface import require
from hardware.targets.registry import get_targets

from ..checkpoints.checkpoint import find_checkpoint, load_checkpoint
from ..data.inputs import load_calibration, load_inputs
from ..models.model import SpikingTransformer
from .outputs import check_writable
from .record import command_line, versions, write_json, write_record
from .running import describe, run_target
from .saturation import describe_saturation, saturation
from .show import certificate_table, console, count_kinds, parity_table, percent, progress, say, show_table, verdict
from .statistics import accuracy

CHECKPOINT = "qkformer-digits"
DATA = "digits"
FILES = ("model.nir", "parity.json", "raster.png")
TARGETS = ("interpreter", "lava")
BATCH = 60
RASTER_POPULATIONS = 6
RASTER_IMAGES = 8


def run_demo(count: int, folder: Path, sections: int | None, json: Path | None) -> None:
    """Quantize the shipped checkpoint, export it, run real images on the targets, and compare every spike."""
    traces = (folder / f"{name}.trace" for name in ("torch", *TARGETS))
    check_writable(*(folder / name for name in FILES), *traces, json, reads=[find_checkpoint(CHECKPOINT)])
    for target in get_targets(TARGETS).values():
        require(target)
    model, config = load_checkpoint(CHECKPOINT)
    images, labels = load_inputs(DATA, config)
    assert labels is not None  # digits have some
    fixed = quantize(model, load_calibration(DATA, config))
    held_out = _held_out_accuracy(model, fixed, images, labels)
    options = {"lava": {} if sections is None else {"sections": sections}}
    result, run = prove(model, fixed, images[:count], labels[:count], options, folder)

    kinds = Counter(type(node).__name__ for node in run["graph"].nodes.values())
    count = min(count, len(images))
    how = run["how"]["lava"]
    steps = how["depth"] + count * config.time_steps
    show_table(certificate_table(fixed.certificate))
    show_table(parity_table(result))
    parameters = sum(p.numel() for p in model.parameters())
    lines = {
        "model": f"{config.name}, {parameters:,} parameters, T = {config.time_steps}",
        "accuracy": f"float {percent(held_out['float'])}, fixed {percent(held_out['fixed'])} "
        f"on {len(labels)} held-out digits",
        "certificate": "every layer" if fixed.certificate.certified else "not every layer",
        "NIR": f"{len(run['graph'].nodes)} nodes: {count_kinds(kinds)}",
        "Lava": f"{how['processes']} processes, {steps} time steps for {count} images streamed back to back, "
        f"{run['seconds']['lava']:.1f} s",
        "files": f"{folder}/ (model.nir, *.trace, parity.json, raster.png)",
    }
    summary = Table.grid(padding=(0, 2))
    for name, text in lines.items():
        summary.add_row(Text(name, "bold"), text)
    console.print(summary)
    if note := describe_saturation(run["inputs"]):
        say(f"note: {note}")
    for line in verdict(result):
        console.print(line, soft_wrap=True)
    write_json(
        json,
        result.to_dict()
        | {
            "inputs": run["inputs"],
            "held_out_accuracy": held_out,
            "certificate": fixed.certificate.to_list(),
            "nir_nodes": dict(kinds),
            "lava_processes": how["processes"],
            "time_steps": steps,
            "seconds": run["seconds"],
        },
    )
    if result.mismatches:
        raise typer.Exit(1)


@torch.no_grad()
def _held_out_accuracy(
    model: SpikingTransformer, fixed: FixedModel, images: Tensor, labels: Tensor | None
) -> dict[str, float | None]:
    """Of the float and of the fixed model over all held-out images."""
    scores: dict[str, list[Tensor]] = {"float": [], "fixed": []}
    batches = images.split(BATCH)
    with progress(f"float and fixed model, {len(images)} images") as report:
        for done, batch in enumerate(batches, start=1):
            scores["float"].append(model(batch))
            scores["fixed"].append(fixed(batch))
            report(done, len(batches))
    return {name: accuracy(torch.cat(parts), labels) for name, parts in scores.items()}


def prove(
    model: SpikingTransformer,
    fixed: FixedModel,
    images: Tensor,
    labels: Tensor | None,
    options: dict[str, dict[str, Any]],
    folder: Path,
) -> tuple[hardware.ParityReport, dict[str, Any]]:
    """Export, read back, run on every target, compare, and write all of it to a folder. options: of each target.

    Returns the report; the graph that was read back, how each target runs it and the seconds that it took.
    """
    write_graph(to_nir(fixed), folder / "model.nir")
    graph = hardware.read_graph(folder / "model.nir")
    reference, inputs = reference_trace(fixed, images), fixed.encode(images)
    with torch.no_grad():
        logits = {"float": model(images), "fixed": fixed(images)}
    traces, seconds, how = {}, {}, {}
    for name, target in get_targets(TARGETS).items():
        traces[name], seconds[name] = run_target(target, graph, inputs, **options.get(name, {}))
        how[name] = describe(target, graph, **options.get(name, {}))
        logits[name] = torch.from_numpy(fixed.encoding.logits(traces[name]["output"]))
        hardware.SpikeTrace(traces[name]).save(folder / f"{name}.trace")
    hardware.SpikeTrace(reference).save(folder / "torch.trace")
    result = hardware.combine(
        {name: hardware.compare(reference, trace) for name, trace in traces.items()},
        accuracy={} if labels is None else {name: accuracy(scores, labels) or 0.0 for name, scores in logits.items()},
        versions=versions(),
    )
    cut_off = saturation(fixed.encoding, images)
    record = result.to_dict() | {
        "inputs": cut_off,
        "command": command_line(),
        "images": len(images),
        "sections": how["lava"]["sections"],
        "seconds": seconds,
    }
    write_record(folder / "parity.json", record)
    last = TARGETS[-1]
    few = {name: values[:, :RASTER_IMAGES] for name, values in reference.items()}
    same = {name: values[:, :RASTER_IMAGES] for name, values in traces[last].items()}
    names = ("PyTorch", last.capitalize())
    hardware.draw_raster(few, same, folder / "raster.png", _spread(list(reference)), names=names)
    return result, {"graph": graph, "seconds": seconds, "how": how, "inputs": cut_off}


def _spread(populations: list[str]) -> list[str]:
    """A few populations from the first to the last, without the output's counts."""
    spiking = [name for name in populations if name != "output"]
    count = min(RASTER_POPULATIONS, len(spiking))
    return [spiking[round(i * (len(spiking) - 1) / max(1, count - 1))] for i in range(count)]
