"""Our sections against Lava's own processes, on one network in one run, with equal spikes asserted.

    python benchmarks/lava_speed.py [--config qkformer-cifar10] [--images 4] [--stock-steps 8] [--json FILE]

Weights are random, BatchNorm statistics too, so that every population spikes. Time per step is printed for

    matrices    the bare float32 matrix products of all convolutions, windows already gathered (NumPy, all cores)
    sections    the network in as many Lava processes as there are cores; split into neurons, messages, synapses and
                waiting for the other sections
    stock       every population and synapse in one of Lava's own processes, with Lava's own models (two operations
                that Lava has no process for, self-attention and max-pool of currents, are ours)

The sections' spikes are compared with PyTorch's over whole images, the stock processes' with them as far as their few
steps reach.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import nir
import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import hardware
import qkformer
from export import FixedModel, quantize, reference_trace, to_nir
from hardware.graph.flatten import FlatGraph, without_gates
from hardware.targets.lava.records import record_path
from hardware.targets.lava.simulation import run_job

CHUNK_WARM_UP = 1  # progress reports that include building the network


def fixed_model(config: str, images: int) -> tuple[FixedModel, torch.Tensor]:
    """A fixed model of random weights in which every population spikes, and images for it."""
    torch.manual_seed(0)
    model = qkformer.create_model(config).eval()
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.2)
            module.weight.data.uniform_(0.8, 1.6)
            module.bias.data.uniform_(0.0, 0.9)
            module.running_var.fill_(0.1)
    c = model.config
    frames = (c.time_steps,) if c.events else ()
    shown = torch.randn(images, *frames, c.in_channels, c.image_size, c.image_size)
    shown = shown.abs().round() if c.events else shown
    return quantize(model, shown), shown


def matrix_seconds(graph: FlatGraph) -> float:
    """The shortest time, of a few, for all convolutions of one time step as matrix products alone."""
    products = []
    for name in graph.names_of(nir.Conv2d, nir.Affine):
        weight = graph.nodes[name].weight
        positions = int(np.prod(graph.shapes[name][1:]))
        weight = weight.reshape(len(weight), -1).astype(np.float32)
        windows = (np.random.default_rng(0).random((weight.shape[1], positions)) < 0.2).astype(np.float32)
        products.append((weight, windows, np.empty((len(weight), positions), np.float32)))
    durations = []
    for _ in range(7):
        start = time.perf_counter()
        for weight, windows, out in products:
            np.matmul(weight, windows, out=out)
        durations.append(time.perf_counter() - start)
    return min(durations)


class Clock:
    """Seconds per step between the progress reports of a run, without the time to build the network."""

    def __init__(self):
        self.reports: list[tuple[int, float]] = []

    def __call__(self, done: int, total: int) -> None:
        """Note the time of a progress report."""
        self.reports.append((done, time.perf_counter()))

    @property
    def per_step(self) -> float:
        """Mean over all steps after the first report."""
        (first, start), (last, end) = self.reports[CHUNK_WARM_UP - 1], self.reports[-1]
        return (end - start) / (last - first)


def run_sections(graph: nir.NIRGraph, inputs: np.ndarray, plan: hardware.Schedule, sections: int):
    """Seconds per step in all, then for neurons, messages and synapses of the busiest section; and the records."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = plan.steps(inputs.shape[1], inputs.shape[0])
        run_job(folder, graph, inputs, steps, fused=True, sections=sections, progress=clock)
        times = [np.load(path)[inputs.shape[0] :].mean(0) for path in sorted(folder.glob("times-*.npy"))]
        records = {population: np.load(record_path(folder, plan, population)) for population in plan.recorded}
    return clock.per_step, np.array(times), records


def run_stock(graph: nir.NIRGraph, inputs: np.ndarray, plan: hardware.Schedule, steps: int):
    """Seconds per step, and the records as far as the steps reach."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_job(folder, graph, inputs, steps, fused=True, stock_models=True, progress=clock)
        records = {}
        for population in plan.recorded:
            rows = max(0, steps - plan.populations[population].depth)
            records[population] = np.load(record_path(folder, plan, population))[:rows]
    return clock.per_step, records


def main() -> None:
    """Print the table; exit by an AssertionError if a spike differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="qkformer-cifar10")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--stock-steps", type=int, default=8)
    parser.add_argument("--sections", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    fixed, images = fixed_model(options.config, options.images)
    inputs = fixed.encode(images)
    graph = to_nir(fixed, allow_large=True)
    flat = hardware.flatten(graph, fused=True)
    plan = hardware.schedule(flat)
    bare = matrix_seconds(flat)
    graph = without_gates(graph, flat.operations)
    ours, parts, records = run_sections(graph, inputs, plan, options.sections)
    reference = reference_trace(fixed, images)
    spikes = 0
    for name, record in records.items():
        if name != "output":
            wanted = reference[name].swapaxes(0, 1).reshape(record.shape)
            assert np.array_equal(record, wanted), f"{name} differs from PyTorch"
            spikes += int(record.sum())
    stock, few = run_stock(graph, inputs, plan, options.stock_steps)
    compared = 0
    for name, record in few.items():
        assert np.array_equal(record, records[name][: len(record)]), f"{name} differs from Lava's own"
        compared += record.size

    busiest = parts[parts.sum(1).argmax()]
    table = Table(
        title=f"{options.config}: milliseconds per time step, {len(plan.populations)} populations", box=SIMPLE
    )
    for column in ("what", "ms / step", "against matrices", "against stock"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, seconds in (("matrices", bare), (f"{options.sections} sections", ours), ("stock Lava", stock)):
        table.add_row(name, f"{seconds * 1e3:,.1f}", f"{seconds / bare:,.2f}", f"{stock / seconds:,.0f} times faster")
    names = ("neurons", "messages", "synapses")
    for name, seconds in zip((*names, "waiting"), (*busiest, ours - busiest.sum()), strict=True):
        table.add_row(f"  of which {name}", f"{seconds * 1e3:,.1f}", "", "")
    console = Console()
    console.print(table)
    image = ours * inputs.shape[0]
    console.print(f"{image:.3f} s an image of {inputs.shape[0]} steps, streamed; {spikes:,} spikes equal PyTorch's,")
    console.print(f"{compared:,} values of Lava's own processes equal the sections'")
    if options.json:
        result = {"config": options.config, "matrices": bare, "sections": ours, "stock": stock, "image": image}
        result |= {f"section_{key}": float(value) for key, value in zip(names, busiest, strict=True)}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
