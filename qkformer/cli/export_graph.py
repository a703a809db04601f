"""`qkformer export FLOAT.nir`: a network of any tool, quantized for its inputs, as an integer NIR graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from export import quantize, to_nir, write_graph
from hardware import get_chip
from hardware.graph.netx import formats_of_netx

from .export import check_runs, write_other_forms
from .graphs import Reading, float_network
from .outputs import check_writable
from .record import write_json
from .show import certificate_table, count_kinds, say, show_table


def run_graph_export(
    file: Path,
    output: Path,
    reading: Reading,
    chip: str,
    inline: bool,
    onnx: Path | None,
    netx: Path | None,
    json: Path | None,
) -> None:
    """Quantize a network of NIR, print its certificate, and write it as an integer graph."""
    check_writable(output, onnx, netx, json, reads=(file, reading.inputs))
    chosen = formats_of_netx(get_chip(chip)) if netx else get_chip(chip)
    network, inputs = float_network(file, reading)
    fixed = quantize(network, inputs, chip=chosen)
    show_table(certificate_table(fixed.certificate))
    for name, note in fixed.rounded_decays.items():
        say(f"note: {name}: {note}")
    graph = to_nir(fixed, inline=inline)
    check_runs(graph, chosen, floats=False)
    write_graph(graph, output, check=True)
    kinds = Counter(type(node).__name__ for node in graph.nodes.values())
    say(f"{output}: {len(graph.nodes)} nodes ({count_kinds(kinds)})")
    write_other_forms(graph, chosen, onnx, netx)
    write_json(
        json,
        {
            "file": str(output),
            "onnx": str(onnx) if onnx else None,
            "netx": str(netx) if netx else None,
            "nodes": dict(kinds),
            "gates": 0,
            "certified": fixed.certificate.certified,
            "certificate": fixed.certificate.to_list(),
            "rounded_decays": fixed.rounded_decays,
            "encoding": fixed.encoding.to_metadata(),
        },
    )
