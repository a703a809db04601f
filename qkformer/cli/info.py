"""`qkformer info`: what a model or checkpoint is, and what each of its parts lowers to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich import box
from rich.table import Table

from export import ExportError, quantize, to_nir

from ..checkpoint import find_checkpoint, load_checkpoint, read_metadata
from ..configs import config_names
from ..model import create_model
from ..neuron import Population
from .options import Json, write_json
from .show import console

Subject = Annotated[str, typer.Argument(metavar="NAME|CKPT", help="A configuration, or a checkpoint file.")]


def info(subject: Subject, json: Json = None) -> None:
    """Configuration, parameters, populations, and what lowers to what."""
    metadata: dict = {}
    if subject in config_names() and not Path(subject).is_file():
        model = create_model(subject).eval()
    else:
        model, _ = load_checkpoint(subject)
        metadata = read_metadata(find_checkpoint(subject))
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    populations = [name for name, module in model.named_modules() if isinstance(module, Population)]
    side = config.image_size
    lowering: Counter[str] = Counter()
    obstacle = None
    try:
        frames = (config.time_steps,) if config.events else ()
        fixed = quantize(model, torch.ones(1, *frames, config.in_channels, side, side))
        lowering.update(type(node).__name__ for node in to_nir(fixed).nodes.values())
    except ExportError as error:
        obstacle = str(error)

    facts = Table(box=box.SIMPLE, show_header=False)
    facts.add_row("configuration", config.name)
    facts.add_row("input", f"{config.in_channels} x {side} x {side}, {config.time_steps} time steps")
    facts.add_row("classes", str(config.num_classes))
    facts.add_row("parameters", f"{parameters:,}")
    facts.add_row(
        "attention", " + ".join(f"{s.attention} ({s.depth} of {s.dim}, {s.heads} heads)" for s in config.stages)
    )
    facts.add_row(
        "samples of a batch", "leak into each other (as published)" if config.batch_leak else "run alone"
    )
    facts.add_row("spiking populations", str(len(populations)))
    facts.add_row(
        "NIR nodes", ", ".join(f"{n} {kind}" for kind, n in lowering.most_common()) or f"none: {obstacle}"
    )
    for key, value in metadata.items():
        facts.add_row(key, str(value))
    console.print(facts)
    console.print("populations: " + ", ".join(populations))
    write_json(
        json,
        {
            "config": config.to_dict(),
            "parameters": parameters,
            "populations": populations,
            "nir_nodes": dict(lowering),
            "not_exportable": obstacle,
            "metadata": metadata,
        },
    )
