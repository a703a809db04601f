"""`qkformer simulate`: run a NIR file on images, in the interpreter or in Lava, and keep the trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

import hardware
from export import check_targets

from .options import Data, Images, Json, accuracy, check_writable, load_inputs, write_json
from .show import percent, say
from .targets import LAVA_OWN, Sections, run_target


def simulate(
    graph: Annotated[Path, typer.Argument(metavar="MODEL.nir", help="A NIR file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TRACE.npz", help="The trace to write.")],
    backend: Annotated[str, typer.Option(help="Where to run it: interpreter or lava.")] = "interpreter",
    data: Data = "digits",
    images: Images = 8,
    sections: Sections = LAVA_OWN,
    stock_models: Annotated[
        bool, typer.Option("--stock-models", help="Lava's own model of convolutions, too.")
    ] = False,
    json: Json = None,
) -> None:
    """Run a NIR graph on images and write every population's spikes."""
    check_targets([backend])
    check_writable(output, json)
    network = hardware.read_graph(graph)
    encoding = hardware.encoding_of(network)
    pictures, labels = load_inputs(data, images)
    inputs = encoding.encode(pictures)
    trace, seconds = run_target(backend, network, inputs, sections, stock_models)
    trace.save(output)
    correct = accuracy(torch.from_numpy(encoding.logits(trace["output"])), labels)
    spikes = sum(int((values != 0).sum()) for values in trace.values())
    say(f"{output}: {len(trace)} populations, {spikes:,} spikes, accuracy {percent(correct)}, {seconds:.1f} s")
    write_json(
        json,
        {
            "trace": str(output),
            "backend": backend,
            "sections": sections,
            "images": len(pictures),
            "populations": len(trace),
            "spikes": spikes,
            "accuracy": correct,
            "seconds": seconds,
        },
    )
