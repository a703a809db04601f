"""`qkformer export`: a checkpoint, quantized and lowered to a NIR file, with its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from export import Certificate, count_gates, fold_model, quantize, to_nir, write_graph

from ..checkpoints.checkpoint import load_checkpoint
from ..data.inputs import load_calibration
from .options import Checkpoint, Data, Json, check_writable, write_json
from .show import certificate_table, console, count_kinds, say

Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.nir", help="The NIR file to write.")]


def export(
    checkpoint: Checkpoint,
    output: Output,
    data: Data = "digits",
    floats: Annotated[
        bool, typer.Option("--float", help="The float model's own numbers; nothing is quantized.")
    ] = False,
    allow_large: Annotated[bool, typer.Option("--allow-large", help="Also write over 100 million gates.")] = False,
    json: Json = None,
) -> None:
    """Quantize a checkpoint, print its certificate and write it as a NIR graph."""
    check_writable(output, json)
    model, config = load_checkpoint(checkpoint)
    certificate = Certificate(())
    if floats:
        network = fold_model(model)
    else:
        network = quantize(model, load_calibration(data, config))
        certificate = network.certificate
        console.print(certificate_table(certificate))
    gates = sum(count_gates(network).values())
    graph = to_nir(network, allow_large=allow_large)
    write_graph(graph, output)
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    if gates:
        say(f"self-attention and max-pools of currents: {gates:,} gates in nested graphs")
    say(f"{output}: {len(graph.nodes)} nodes ({count_kinds(kinds)})")
    write_json(
        json,
        {
            "file": str(output),
            "nodes": dict(kinds),
            "gates": gates,
            "certified": certificate.certified and not floats,
            "certificate": certificate.to_list(),
        },
    )
