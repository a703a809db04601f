"""Schedule -> the few Lava processes that each hold a section of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...graph.flat import FlatGraph
from ...graph.schedule import Schedule
from .partition import bus, partition
from .processes.section import SectionProcess
from .section import Section
from .space import whole_memmap


def build_sections(
    graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, folder: Path, count: int
) -> dict[str, SectionProcess]:
    """The same network as network.build makes, in `count` Lava processes that each hold a section of it."""
    parts = partition(plan, count)
    crossing = bus(plan, parts)
    places, width = {}, 0
    for name in crossing:
        start, width = width, width + int(np.prod(plan.populations[name].shape))
        places[name] = slice(start, width)
    processes: dict[str, SectionProcess] = {}
    for index, names in enumerate(parts):
        section = Section(graph, plan, names, frames, time_steps, folder)
        times = folder / f"times-{index}.npy"
        whole_memmap(times, np.float64, (len(frames), 3))
        process = SectionProcess(
            section=section, places=places, width=max(width, 1), name=f"section {index}", times=str(times)
        )
        for earlier in processes.values():
            earlier.bus_out.connect(process.bus_in)
        processes[process.name] = process
    return processes
