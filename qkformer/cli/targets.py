"""The targets that a graph runs on, with a progress bar and a clock."""

from __future__ import annotations

import time
from typing import Annotated

import nir
import numpy as np
import typer

import hardware

from .show import progress

LAVA_OWN = 0
Sections = Annotated[
    int | None,
    typer.Option(
        help="0: Lava's own processes, one for each population and synapse. N: the same network stepped by N "
        "processes of this package inside Lava, which is faster and not independent evidence. Unless given: 0 for a "
        "small network (200 processes, 200,000 values a step), else one for each core.",
        show_default=False,
    ),
]


def run_target(
    target: str,
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    sections: int | None = None,
    stock_models: bool = False,
    floating_point: bool = False,
) -> tuple[hardware.SpikeTrace, float]:
    """The trace of "interpreter" or "lava" and the seconds it took. inputs: [T, B, ...]."""
    start = time.perf_counter()
    with progress(f"{target}, {inputs.shape[1]} images") as report:
        if target == "lava":
            trace = hardware.lava.simulate(
                graph,
                inputs,
                bit_accurate=not floating_point,
                sections=sections,
                stock_models=stock_models,
                progress=report,
            )
        elif floating_point:
            trace = hardware.interpret_float(graph, inputs)
        else:
            trace = hardware.interpret(graph, inputs, progress=report)
    return trace, time.perf_counter() - start


def how_lava_runs(graph: nir.NIRGraph, sections: int | None, own_only: bool) -> int:
    """The number of sections that `hardware.lava.simulate` will use; 0 for Lava's own processes."""
    if sections is not None or own_only:
        return sections or LAVA_OWN
    return hardware.lava.default_sections(hardware.schedule(hardware.flatten(graph, fused=True)))


def lava_processes(plan: hardware.Schedule, sections: int) -> int:
    """How many Lava processes hold the network."""
    return sections or hardware.lava.process_count(plan)
