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
    int,
    typer.Option(
        help="0: Lava's own processes, one for each population and synapse. N: the same network stepped by N "
        "processes of this package inside Lava, which is faster and not independent evidence."
    ),
]


def run_target(
    target: str, graph: nir.NIRGraph, inputs: np.ndarray, sections: int = LAVA_OWN, stock_models: bool = False
) -> tuple[hardware.SpikeTrace, float]:
    """The trace of "interpreter" or "lava" and the seconds it took. inputs: whole numbers [T, B, ...]."""
    start = time.perf_counter()
    with progress(f"{target}, {inputs.shape[1]} images") as report:
        if target == "lava":
            trace = hardware.lava.simulate(graph, inputs, sections=sections, stock_models=stock_models, progress=report)
        else:
            trace = hardware.interpret(graph, inputs, progress=report)
    return trace, time.perf_counter() - start


def lava_processes(plan: hardware.Schedule, sections: int) -> int:
    """How many Lava processes hold the network."""
    return sections or hardware.lava.process_count(plan)
