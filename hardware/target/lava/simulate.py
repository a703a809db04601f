"""A NIR graph on Lava's bit-accurate Loihi models, in processes of their own."""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

import nir
import numpy as np

from ...chip.fixed_point import encode_bias
from ...graph.file import write_graph
from ...graph.flatten import FlatGraph, flatten
from ...graph.fused import without_gates
from ...graph.linear import constants
from ...graph.neuron import Neuron
from ...graph.schedule import Schedule, schedule
from ...graph.shapes import NEURONS
from ...trace.spike_trace import SpikeTrace
from ..interpreter import check_inputs
from .supervise import run_supervised

MOST_PROCESSES = 200  # of the operating system, that two cores still serve in reasonable time
MOST_VALUES = 200_000  # sent from process to process at each time step
INSTALL = 'Lava is not installed: run  uv pip install -e ".[lava]"  (or make demo) in the project\'s clone'


def simulate(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    bit_accurate: bool = True,
    stock_models: bool = False,
    sections: int | None = None,
    fused: bool = True,
    progress: Callable[[int, int], None] | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """Run a NIR graph of whole-numbered weights in Lava, samples streamed back to back.

    inputs: whole numbers [T, B, *input shape]. bit_accurate: Lava's fixed-point models; without it, its
    floating-point models, for graphs of any numbers (sections = 0).
    sections: in how many Lava processes of our own the network runs; 0: each population and synapse is one of Lava's
    own processes, run by Lava's bit-accurate models but for Conv, which is a matrix product. Unless given, 0 for up
    to 200 such processes that send up to 200,000 values a step, else as many as there are cores.
    stock_models: sections = 0, and Conv is Lava's own model too. fused: marked nested graphs run as the one operation
    they compute, in a process of ours; without it, gate by gate. progress: called with (steps done, steps in all).
    into: where the trace goes, as in hardware.interpret.

    Returns the spikes of every LIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node, int32
    [T, B, ...], by node name in execution order, as hardware.interpret does.
    Raises GraphError or RangeError before anything runs, ImportError if Lava is missing, and LavaError, with the
    traceback of the Lava process that failed, within seconds of its failure; nothing is left running then.
    """
    lavas_own = stock_models or not bit_accurate
    flat = flatten(graph, fused=fused, floating_point=not bit_accurate)
    inputs = check_inputs(flat, inputs, floating_point=not bit_accurate)
    plan = schedule(flat)
    if sections is None:
        sections = 0 if lavas_own else default_sections(plan)
    if sections < 0 or (sections and lavas_own):
        raise ValueError(f"sections is {sections}; it must be at least 0, and 0 for Lava's own models")
    if bit_accurate:
        _check_neurons(flat)
    with tempfile.TemporaryDirectory(prefix="lava-job-") as name:
        folder = Path(name)
        reduced = without_gates(graph) if fused else graph
        steps = plan.steps(inputs.shape[1], inputs.shape[0])
        run_job(
            folder,
            reduced,
            inputs,
            steps,
            stock_models=stock_models,
            sections=sections,
            fused=fused,
            floating_point=not bit_accurate,
            progress=progress,
        )
        trace = SpikeTrace() if into is None else into
        trace.update(_read_records(folder, flat, plan, inputs.shape[:2]))
        return trace


def run_job(
    folder: Path,
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    steps: int,
    *,
    stock_models: bool = False,
    sections: int = 0,
    fused: bool = True,
    floating_point: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run a checked graph for a number of time steps; the worker leaves its records in the folder."""
    if importlib.util.find_spec("lava") is None:
        raise ImportError(INSTALL)
    write_graph(graph, folder / "graph.nir", compression=None)
    job = {"stock_models": stock_models, "sections": sections, "fused": fused, "steps": steps}
    job["floating_point"] = floating_point
    np.savez(folder / "job.npz", inputs=inputs, **job)
    run_supervised(
        [sys.executable, "-m", "hardware.target.lava.worker", str(folder)],
        on_message=lambda message: progress(message["done"], message["steps"]) if progress else None,
    )


def _check_neurons(graph: FlatGraph) -> None:
    """Raise unless each population has what Lava gives it: one decay, one threshold, one exponent of its biases."""
    at_rest = constants(graph)
    for name in graph.names_of(*NEURONS):
        Neuron.from_node(name, graph.nodes[name]).uniform(name)
        encode_bias(name, at_rest[name])


def default_sections(plan: Schedule) -> int:
    """0, for Lava's own processes, where they and their messages are few; else a section for each core."""
    values = sum(math.prod(population.shape) for population in plan.populations.values())
    return 0 if process_count(plan) <= MOST_PROCESSES and values <= MOST_VALUES else os.cpu_count() or 1


def process_count(plan: Schedule) -> int:
    """How many of Lava's own processes a network takes: populations, synapses, a recorder for each that is read."""
    return len(plan.populations) + len(plan.connections) + len(plan.recorded)


def _read_records(
    folder: Path, graph: FlatGraph, plan: Schedule, shape: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Records [B * T, ...] -> name and values [T, B, ...] of every population of a trace, one at a time.

    A graded relay has no bias: what the output would hold at rest is added here, where the host reads it.
    """
    time_steps, samples = shape
    at_rest = constants(graph)
    for name in plan.recorded:
        record = np.load(folder / f"{name}.npy")
        values = np.ascontiguousarray(record.reshape(samples, time_steps, *record.shape[1:]).swapaxes(0, 1))
        if plan.populations[name].kind == "output":
            values += at_rest[name].astype(values.dtype)
        yield name, values
