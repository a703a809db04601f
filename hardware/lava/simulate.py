"""A NIR graph on Lava's bit-accurate Loihi models, in processes of their own."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np

from ..graph import flatten
from ..interpreter import check_inputs
from ..linear import constants
from ..schedule import Schedule, schedule
from ..trace import SpikeTrace
from .supervise import run_supervised

INSTALL = 'Lava is not installed: run  uv pip install -e ".[lava]"  (or make demo) in the project\'s clone'


def simulate(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    bit_accurate: bool = True,
    stock_models: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SpikeTrace:
    """Run a NIR graph of whole-numbered weights in Lava, samples streamed back to back.

    inputs: whole numbers [T, B, *input shape]. bit_accurate: Lava's fixed-point models, the only ones so far.
    stock_models: use none but Lava's own process models. progress: called with (steps done, steps in all).

    Returns the spikes of every LIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node, int32
    [T, B, ...], by node name in execution order, as hardware.interpret does.
    Raises GraphError or RangeError before anything runs, ImportError if Lava is missing, and LavaError, with the
    traceback of the Lava process that failed, within seconds of its failure; nothing is left running then.
    """
    if not bit_accurate:
        raise ValueError("bit_accurate is False; only Lava's fixed-point models are supported so far")
    flat = flatten(graph)
    inputs = check_inputs(flat, inputs)
    plan = schedule(flat)
    if importlib.util.find_spec("lava") is None:
        raise ImportError(INSTALL)
    with tempfile.TemporaryDirectory(prefix="lava-job-") as name:
        folder = Path(name)
        nir.write(folder / "graph.nir", graph, compression=None)
        np.savez(folder / "job.npz", inputs=inputs, stock_models=stock_models)
        run_supervised(
            [sys.executable, "-m", "hardware.lava.worker", name],
            on_message=lambda message: progress(message["done"], message["steps"]) if progress else None,
        )
        return _read_records(folder, plan, inputs.shape[:2], constants(flat))


def process_count(plan: Schedule) -> int:
    """How many Lava processes a schedule takes: populations, synapses, and a recorder for each that is read."""
    return len(plan.populations) + len(plan.connections) + len(recorded(plan))


def recorded(plan: Schedule) -> list[str]:
    """The populations whose values a trace holds."""
    return [name for name, population in plan.populations.items() if population.kind in ("neuron", "output")]


def _read_records(folder: Path, plan: Schedule, shape: tuple[int, int], at_rest: dict[str, np.ndarray]) -> SpikeTrace:
    """Records in Lava's order [B * T, H, W, C] -> trace [T, B, C, H, W].

    A graded relay has no bias: what the output would hold at rest is added here, where the host reads it.
    """
    time_steps, samples = shape
    trace = SpikeTrace()
    for name in recorded(plan):
        record = np.load(folder / f"{name}.npy")
        if record.ndim == 4:
            record = record.transpose(0, 3, 1, 2)
        values = np.ascontiguousarray(record.reshape(samples, time_steps, *record.shape[1:]).swapaxes(0, 1))
        if plan.populations[name].kind == "output":
            values += at_rest[name].astype(np.int32)
        trace[name] = values
    return trace
