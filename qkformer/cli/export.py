"""`qkformer export`: a checkpoint, quantized and lowered to a NIR file, with its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from export import quantize, to_nir, write_graph

from ..checkpoint import load_checkpoint
from .options import Checkpoint, Data, Json, load_inputs, write_json
from .show import certificate_table, console

CALIBRATION_IMAGES = 256

Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nir", help="The NIR file to write.")]


def export(checkpoint: Checkpoint, output: Output, data: Data = "digits", json: Json = None) -> None:
    """Quantize a checkpoint, print its certificate and write it as a NIR graph."""
    model, _ = load_checkpoint(checkpoint)
    images, _ = load_inputs(data, CALIBRATION_IMAGES)
    fixed = quantize(model, images)
    graph = to_nir(fixed)
    write_graph(graph, output)
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    console.print(certificate_table(fixed.certificate))
    console.print(
        f"{output}: {len(graph.nodes)} nodes ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())})"
    )
    write_json(
        json,
        {
            "file": str(output),
            "nodes": dict(kinds),
            "certified": fixed.certificate.certified,
            "certificate": fixed.certificate.to_list(),
        },
    )
