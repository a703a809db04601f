"""`qkformer export`: a checkpoint, quantized and lowered to a NIR file, with its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from export import quantize, to_nir, write_graph

from ..checkpoint import load_checkpoint
from .options import Checkpoint, Data, Json, check_writable, load_calibration, write_json
from .show import certificate_table, console, count_kinds, say

Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nir", help="The NIR file to write.")]


def export(checkpoint: Checkpoint, output: Output, data: Data = "digits", json: Json = None) -> None:
    """Quantize a checkpoint, print its certificate and write it as a NIR graph."""
    check_writable(output, json)
    model, config = load_checkpoint(checkpoint)
    fixed = quantize(model, load_calibration(data, config))
    graph = to_nir(fixed)
    write_graph(graph, output)
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    console.print(certificate_table(fixed.certificate))
    say(f"{output}: {len(graph.nodes)} nodes ({count_kinds(kinds)})")
    write_json(
        json,
        {
            "file": str(output),
            "nodes": dict(kinds),
            "certified": fixed.certificate.certified,
            "certificate": fixed.certificate.to_list(),
        },
    )
