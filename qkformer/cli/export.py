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
from hardware import Chip, flatten, get_chip, schedule, write_netx
from hardware.errors import InputError
from hardware.graph.netx import formats_of_netx
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
    netx: Path | None,
    json: Path | None,
) -> None:
    """Quantize a checkpoint, print its certificate and write it as a NIR graph, and perhaps in other forms."""
    check_writable(output, onnx, netx, json, reads=(find_checkpoint(checkpoint), data))
    for option, path in (("--onnx", onnx), ("--netx", netx)):
        if path and floats:
            raise InputError(f"{option} holds integers, and --float keeps the float model's weights; give one of them")
    chosen = formats_of_netx(get_chip(chip)) if netx else get_chip(chip)
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
    write_other_forms(graph, chosen, onnx, netx)
    write_json(
        json,
        {
            "file": str(output),
            "onnx": str(onnx) if onnx else None,
            "netx": str(netx) if netx else None,
            "nodes": dict(kinds),
            "gates": gates,
            "certified": certificate.certified and not floats,
            "certificate": certificate.to_list(),
        },
    )


def write_other_forms(graph: nir.NIRGraph, chip: Chip, onnx: Path | None, netx: Path | None) -> None:
    """Write a graph as an ONNX model, and as a file for lava-dl's netx, where they are asked for."""
    if onnx:
        to_onnx(graph, onnx, chip=chip)
        say(f"{onnx}: {onnx.stat().st_size / 1e6:.1f} MB of integer ONNX")
    if netx:
        write_netx(graph, netx, chip=chip)
        say(f"{netx}: {netx.stat().st_size / 1e6:.1f} MB for lava-dl's netx")


def check_runs(graph: nir.NIRGraph, chip: Chip, *, floats: bool) -> None:
    """Raise GraphError or RangeError for a graph that the targets could not run, before there is a file of it."""
    flat = flatten(graph, fused=not floats, floating_point=floats, chip=chip)
    if not floats:
        check_numbers(flat)
        schedule(flat)
