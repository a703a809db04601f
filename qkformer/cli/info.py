"""`qkformer info`: what a model or checkpoint is, and what each of its parts lowers to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import nir
import torch
from rich import box
from rich.table import Table

import hardware
from export import ExportError, quantize, to_nir
from hardware.errors import InputError

from ..checkpoints.checkpoint import inspect_checkpoint, load_checkpoint, shipped_checkpoints
from ..data.inputs import load_inputs
from ..models.catalogue import config_names
from ..models.model import SpikingTransformer, create_model
from ..models.neuron import Population
from ..models.record import record_spikes
from .outputs import check_writable
from .record import write_json
from .show import console, count_kinds, percent, say
from .statistics import accuracy

MOST_VALUES = 20_000_000  # of a layer over all time steps, as the largest published has: more take gigabytes to lower


def show_info(subject: str, data: str | None, images: int, label: str | None, json: Path | None) -> None:
    """Configuration, parameters, populations, what lowers to what, and firing rates on --data."""
    check_writable(json, reads=(subject, data))
    metadata: dict[str, Any] = {}
    found: dict[str, str] = {}
    if subject in config_names() and subject not in shipped_checkpoints() and not Path(subject).is_file():
        if data is not None:
            raise InputError(f"{subject} is a configuration without trained weights; --data needs a checkpoint")
        model = create_model(subject).eval()
    else:
        model, _ = load_checkpoint(subject)
        checkpoint = inspect_checkpoint(subject)
        metadata = dict(checkpoint.metadata)
        how = "recognized by its keys and shapes" if checkpoint.recognized else "named in the file"
        found = {"file": f"{checkpoint.path}: {checkpoint.layout}", "configuration was": how}
    config, side = model.config, model.config.image_size
    parameters = sum(p.numel() for p in model.parameters())
    populations = [name for name, module in model.named_modules() if isinstance(module, Population)]
    kinds: Counter[str] = Counter()
    lowering, obstacle = {}, None
    try:
        graph = lower(model)
        kinds.update(type(node).__name__ for node in graph.nodes.values())
        lowering = describe_lowering(graph)
    except ExportError as error:
        obstacle = str(error)

    facts = Table(box=box.SIMPLE, show_header=False)
    attention = (f"{s.attention} ({s.depth} of {s.dim}, {s.heads} heads)" for s in config.stages)
    rows = {
        "configuration": config.name,
        **found,
        "input": f"{config.in_channels} x {side} x {side}, {config.time_steps} time steps",
        "classes": str(config.num_classes),
        "parameters": f"{parameters:,}",
        "attention": " + ".join(attention),
        "samples of a batch": "leak into each other (as published)" if config.batch_leak else "run alone",
        "spiking populations": str(len(populations)),
        "NIR nodes": count_kinds(kinds) or f"none: {obstacle}",
        **{key: str(value) for key, value in metadata.items()},
    }
    for name, text in rows.items():
        facts.add_row(name, text)
    console.print(facts)
    rates, score = firing_rates(model, data, images, label) if data is not None else ({}, None)
    for name in lowering or populations:
        rate = f"{rates[name]:<7.4f} " if name in rates else " " * 8 if rates else ""
        say(f"  {name:<28} {rate}{' + '.join(lowering.get(name, []))}".rstrip())
    if rates:
        mode = rows["samples of a batch"]
        say(f"firing rates: spikes per neuron and time step; accuracy {percent(score)}, samples {mode}")
    write_json(
        json,
        {
            "config": config.to_dict(),
            "parameters": parameters,
            "populations": populations,
            "lowering": lowering,
            "nir_nodes": dict(kinds),
            "not_exportable": obstacle,
            "metadata": metadata,
            "firing_rates": rates,
        },
    )


def firing_rates(
    model: SpikingTransformer, data: str, count: int, label: str | None = None
) -> tuple[dict[str, float], float | None]:
    """Spikes per neuron and time step of every population of the float model on the first images; its accuracy."""
    images, labels = load_inputs(data, model.config, count=count, label=label)
    with torch.no_grad(), record_spikes(model) as trace:
        logits = model(images)
    return {name: float(spikes.mean()) for name, spikes in trace.items()}, accuracy(logits, labels)


def lower(model: SpikingTransformer) -> nir.NIRGraph:
    """The graph of a model, whatever its weights; ExportError names the part that has none."""
    config = model.config
    if config.largest_layer > MOST_VALUES:
        limit = f"at most {MOST_VALUES:,} are lowered here; `qkformer export` lowers any"
        raise ExportError(f"a layer has {config.largest_layer:,} values for one image; {limit}")
    frames = (config.time_steps,) if config.events else ()
    white = torch.ones(1, *frames, config.in_channels, config.image_size, config.image_size)
    return to_nir(quantize(model, white))


def describe_lowering(graph: nir.NIRGraph) -> dict[str, list[str]]:
    """Population -> the kinds of the nodes between it and the populations that it reads, itself the last.

    A nested graph of gates counts as one node, with its size.
    """
    flat = hardware.flatten(graph, fused=True)

    def kind(name: str) -> str:
        nested = graph.nodes.get(name)
        if isinstance(nested, nir.NIRGraph):
            gates = sum(n.threshold.size for n in nested.nodes.values() if isinstance(n, nir.Threshold))
            return f"NIRGraph of {len(nested.nodes)} nodes, {gates:,} gates"
        return type(flat.nodes[name]).__name__

    def kinds_before(name: str) -> list[str]:
        found: list[str] = []
        for source in flat.sources[name]:
            if not flat.is_population(source) and flat.sources[source]:
                row = isinstance(flat.nodes[source], nir.Flatten) and source not in graph.nodes  # no node of the file
                found += kinds_before(source) if row else [*kinds_before(source), kind(source)]
        return found

    return {name: [*kinds_before(name), kind(name)] for name in (*flat.populations, *flat.outputs)}
