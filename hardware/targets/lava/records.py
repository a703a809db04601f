"""The files in which the processes of a Lava run leave what each population emitted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...graph.flat import FlatGraph, at_rest
from ...graph.schedule import Schedule
from ..interpreter.values import shown
from .space import whole_memmap


def record_path(folder: Path, plan: Schedule, name: str) -> Path:
    """The .npy file of a population: a number, as its name may be anything, in an order that no file changes."""
    return folder / f"record-{sorted(plan.recorded).index(name)}.npy"


def record_type(plan: Schedule, name: str, floating_point: bool = False) -> type:
    """Spikes are int8, sums int32, or any number in floating point."""
    if plan.populations[name].kind == "neuron":
        return np.int8
    return np.float64 if floating_point else np.int32


def create_record(folder: Path, plan: Schedule, name: str, steps: int) -> np.memmap:
    """A record of zeros, [steps, *shape], open for writing."""
    shape = (steps, *plan.populations[name].shape)
    path, dtype = record_path(folder, plan, name), record_type(plan, name)
    return whole_memmap(path, dtype, shape)


def read_records(
    folder: Path, graph: FlatGraph, plan: Schedule, time_steps: int, samples: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Records [B * T, ...] -> name and values [T, B, ...] of every population of a trace, one at a time.

    A graded relay has no bias: what the output would hold at rest is added here, where the host reads it.
    """
    resting = at_rest(graph)
    for name in plan.recorded:
        record = np.load(record_path(folder, plan, name))
        values = np.ascontiguousarray(record.reshape(samples, time_steps, *record.shape[1:]).swapaxes(0, 1))
        if plan.populations[name].kind == "output":
            values = shown(name, values + resting[name]) if values.dtype != np.float64 else values + resting[name]
        yield name, values
