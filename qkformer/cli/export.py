"""`qkformer export`: a checkpoint, quantized and lowered to a NIR file, with its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nir

from export import (
    Certificate,
    FixedModel,
    FloatNetwork,
    count_gates,
    fold_model,
    quantize,
    to_nir,
    to_onnx,
    write_graph,
)
from hardware import Chip, flatten, get_chip, schedule
from hardware.errors import InputError
from hardware.graph.numbers import check_numbers

from ..checkpoints.checkpoint import find_checkpoint, load_checkpoint
from ..data.inputs import load_calibration
from .outputs import check_writable
from .record import write_json
from .show import certificate_table, count_kinds, say, show_table


def run_export(
    checkpoint: str,
    output: Path,
    data: str,
    label: str | None,
    floats: bool,
    inline: bool,
    allow_large: bool,
    chip: str,
    onnx: Path | None,
    json: Path | None,
) -> None:
    """Quantize a checkpoint, print its certificate and write it as a NIR graph, and perhaps as an ONNX model."""
    check_writable(output, onnx, json, reads=(find_checkpoint(checkpoint), data))
    if onnx and floats:
        raise InputError("--onnx holds integers, and --float keeps the float model's weights; give one of them")
    chosen = get_chip(chip)
    model, config = load_checkpoint(checkpoint)
    certificate = Certificate(())
    network: FloatNetwork | FixedModel
    if floats:
        network = fold_model(model)
    else:
        network = quantize(model, load_calibration(data, config, label=label), chip=chosen)
        certificate = network.certificate
        show_table(certificate_table(certificate))
    gates = sum(count_gates(network).values())
    graph = to_nir(network, allow_large=allow_large, inline=inline)
    check_runs(graph, chosen, floats=floats)
    write_graph(graph, output, check=True)
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    if gates:
        where = "written flat" if inline else "in nested graphs"
        say(f"self-attention and max-pools of currents: {gates:,} gates, {where}")
    say(f"{output}: {len(graph.nodes)} nodes ({count_kinds(kinds)})")
    write_onnx(graph, onnx)
    write_json(
        json,
        {
            "file": str(output),
            "onnx": str(onnx) if onnx else None,
            "nodes": dict(kinds),
            "gates": gates,
            "certified": certificate.certified and not floats,
            "certificate": certificate.to_list(),
        },
    )


def write_onnx(graph: nir.NIRGraph, onnx: Path | None) -> None:
    """Write a graph as an ONNX model, if it is asked for."""
    if onnx:
        to_onnx(graph, onnx)
        say(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB of integer ONNX")


def check_runs(graph: nir.NIRGraph, chip: Chip, *, floats: bool) -> None:
    """Raise GraphError or RangeError for a graph that the targets could not run, before there is a file of it."""
    flat = flatten(graph, fused=not floats, floating_point=floats, chip=chip)
    if not floats:
        check_numbers(flat)
        schedule(flat)
