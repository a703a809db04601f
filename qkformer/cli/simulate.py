"""`qkformer simulate`: run a NIR file on images, on any target, and keep the trace."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

import hardware
from hardware import Encoding
from hardware.errors import GraphError
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint
from hardware.targets.interface import check_options, require
from hardware.targets.interpreter.floating_point import is_integer
from hardware.targets.registry import get_target

from ..data.images import load_images
from .outputs import check_writable
from .record import command_line, write_json
from .running import describe, run_target, say_notes
from .saturation import describe_saturation, saturation
from .show import percent, say
from .statistics import accuracy


def run_simulation(
    file: Path,
    output: Path,
    name: str,
    data: str,
    count: int,
    label: str | None,
    asked: Mapping[str, Any],
    json: Path | None,
) -> None:
    """Run a NIR graph on images and write every population's spikes.

    asked: options of the target, None if not given.
    """
    target, options = get_target(name), {option: value for option, value in asked.items() if value is not None}
    check_options(target, options)
    require(target)
    check_writable(output, json, reads=(file, data))
    graph = hardware.read_graph(file)
    encoding = hardware.encoding_of(graph)
    integer = is_integer(graph) or not options.get("floating_point")
    _check_shape(graph, encoding)
    target.check(graph, **options)
    channels, height, width = encoding.input_shape
    as_they_are = encoding.events or height != width
    size: dict[str, Any] = {} if as_they_are else {"channels": channels, "image_size": height}
    images, labels = load_images(data, "test", count, classes=count_classes(graph), label=label, **size)
    inputs = encoding.encode(images) if integer else encoding.present(images)
    trace, seconds = run_target(target, graph, inputs, **options)
    saved = hardware.SpikeTrace(trace, about=_about(graph, inputs, integer))
    saved.save(output)
    outputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Output)]
    correct = _accuracy(encoding, [trace[name] for name in outputs], labels)
    spikes = sum(int(np.count_nonzero(values)) for values in trace.values())
    say(f"{output}: {len(trace)} populations, {spikes:,} spikes, accuracy {percent(correct)}, {seconds:.1f} s")
    cut_off = saturation(encoding, images) if integer else None
    if cut_off and (note := describe_saturation(cut_off)):
        say(f"note: {note}")
    notes = say_notes([target])
    how = describe(target, graph, **options)
    if at_once := how.get("fused"):
        say(f"run as one operation, their gates not executed: {', '.join(at_once)}")
    flips = None if integer else _report_flips(graph, inputs, trace, outputs)
    write_json(
        json,
        {
            "trace": str(output),
            "target": name,
            "backend": name,
            "sections": how.get("sections"),
            "fused": list(how.get("fused", ())),
            "images": len(images),
            "inputs": cut_off,
            "notes": notes,
            "populations": len(trace),
            "spikes": spikes,
            "accuracy": correct,
            "seconds": seconds,
            "flips": flips,
        },
    )


def _check_shape(graph: nir.NIRGraph, encoding: Encoding) -> None:
    """Raise GraphError, before any data is read, where the metadata speaks of other images than the Input does."""
    for name, node in graph.nodes.items():
        shape = tuple(map(int, np.reshape(node.input_type["input"], -1))) if isinstance(node, nir.Input) else None
        if shape not in (None, encoding.input_shape):
            raise GraphError(
                f"'{name}' takes {shape}, but the graph's metadata says input_shape {encoding.input_shape}"
            )


def count_classes(graph: nir.NIRGraph) -> int | None:
    """The number of a graph's outputs, if they are in one node of the usual name."""
    output = graph.nodes.get("output")
    return int(np.prod(next(iter(output.output_type.values())))) if isinstance(output, nir.Output) else None


def _about(graph: nir.NIRGraph, inputs: np.ndarray, integer: bool) -> dict[str, Any]:
    """What the trace was made of: fingerprints, which exist for integers, and the command."""
    found: dict[str, Any] = {"command": command_line(), "inputs": array_fingerprint(inputs)}
    return found | ({"graph": graph_fingerprint(graph)} if integer else {})


def _accuracy(encoding: Encoding, outputs: Sequence[np.ndarray], labels: torch.Tensor | None) -> float | None:
    """None where the graph does not give scores of classes, [T, B, classes], at one Output."""
    if len(outputs) != 1 or outputs[0].ndim != 3:
        return None
    return accuracy(torch.from_numpy(encoding.logits(outputs[0])), labels)


def _report_flips(
    graph: nir.NIRGraph, inputs: np.ndarray, trace: MutableMapping[str, np.ndarray], outputs: Collection[str]
) -> dict[str, list[float]]:
    """Say where the trace differs from the float model's weights in float64, and how close each flip's margin is."""
    margins = hardware.flip_margins(graph, inputs, trace)
    compared = sum(values.size for name, values in trace.items() if name not in outputs)
    count = sum(len(margin) for margin in margins.values())
    say(f"{count:,} of {compared:,} spikes differ from the graph in float64")
    for name, margin in margins.items():
        say(f"  {name}: {len(margin):,}, membrane within {margin.min():.2g} to {margin.max():.2g} of the threshold")
    return {name: margin.tolist() for name, margin in margins.items()}
