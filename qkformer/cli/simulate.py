"""`qkformer simulate`: run a NIR file on images, in the interpreter or in Lava, and keep the trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import nir
import numpy as np
import torch
import typer

import hardware
from export import check_targets

from ..data.images import load_images
from .options import Data, Images, Json, accuracy, check_writable, write_json
from .show import percent, say
from .targets import Sections, how_lava_runs, run_target


def simulate(
    graph: Annotated[Path, typer.Argument(metavar="MODEL.nir", help="A NIR file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="TRACE.npz", help="The trace to write.")],
    backend: Annotated[str, typer.Option(help="Where to run it: interpreter or lava.")] = "interpreter",
    data: Data = "digits",
    images: Images = 8,
    sections: Sections = None,
    stock_models: Annotated[
        bool, typer.Option("--stock-models", help="Lava's own model of convolutions, too.")
    ] = False,
    floating_point: Annotated[
        bool, typer.Option("--floating-point", help="Lava's floating-point models, for a graph of `export --float`.")
    ] = False,
    json: Json = None,
) -> None:
    """Run a NIR graph on images and write every population's spikes."""
    check_targets([backend])
    check_writable(output, json)
    network = hardware.read_graph(graph)
    encoding = hardware.encoding_of(network)
    channels, height, width = encoding.input_shape
    as_it_is = encoding.events or height != width
    size = {"channels": None, "image_size": None} if as_it_is else {"channels": channels, "image_size": height}
    shown, labels = load_images(data, "test", images, **size)
    inputs = encoding.present(shown) if floating_point else encoding.encode(shown)
    if backend == "lava":
        sections = how_lava_runs(network, sections, stock_models or floating_point)
    trace, seconds = run_target(backend, network, inputs, sections, stock_models, floating_point)
    trace.save(output)
    correct = accuracy(torch.from_numpy(encoding.logits(trace["output"])), labels)
    spikes = sum(int((values != 0).sum()) for values in trace.values())
    say(f"{output}: {len(trace)} populations, {spikes:,} spikes, accuracy {percent(correct)}, {seconds:.1f} s")
    flips = _report_flips(network, inputs, trace) if floating_point else None
    write_json(
        json,
        {
            "trace": str(output),
            "backend": backend,
            "sections": sections,
            "images": len(shown),
            "populations": len(trace),
            "spikes": spikes,
            "accuracy": correct,
            "seconds": seconds,
            "flips": flips,
        },
    )


def _report_flips(network: nir.NIRGraph, inputs: np.ndarray, trace: hardware.SpikeTrace) -> dict[str, list[float]]:
    """Say where the trace differs from the float model's numbers in float64, and how close each flip's margin is."""
    margins = hardware.flip_margins(network, inputs, trace)
    compared = sum(values.size for name, values in trace.items() if name != "output")
    count = sum(len(margin) for margin in margins.values())
    say(f"{count:,} of {compared:,} spikes differ from the graph in float64")
    for name, margin in margins.items():
        say(f"  {name}: {len(margin):,}, membrane within {margin.min():.2g} to {margin.max():.2g} of the threshold")
    return {name: margin.tolist() for name, margin in margins.items()}
