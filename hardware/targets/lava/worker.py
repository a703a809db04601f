"""The process that holds a Lava network: `main(FOLDER)`, in an interpreter started by simulation.py.

FOLDER holds graph.nir, inputs.npy and job.json; the populations' records are written there.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from ...chip.chip import Chip
from ...graph.file import read_graph
from ...graph.flatten import flatten
from ...graph.schedule import schedule
from .compat import prepare_lava
from .watch import Worker, run_as_worker

CHANNEL_SLOTS = 4  # messages a channel holds; Lava's default of 64 takes gigabytes of shared memory


LEAST_MEMORY = 300 << 20  # bytes; with less, a library that Lava needs tries for ever to have some


def check_memory_limits() -> None:
    """Raise MemoryError where the shell's limits leave a process less than Lava's libraries take."""
    for option, limit in ("-v", resource.RLIMIT_AS), ("-d", resource.RLIMIT_DATA):
        allowed = resource.getrlimit(limit)[0]
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise MemoryError(f"`ulimit {option}` allows {allowed >> 20} MB; at least {LEAST_MEMORY >> 20} are needed")


def run(worker: Worker, folder: Path) -> None:
    """Build the network of a job and run it to the end of its inputs."""
    check_memory_limits()
    prepare_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from .models import model_choice
    from .network import build
    from .section_network import build_sections

    job = json.loads((folder / "job.json").read_text())
    inputs = np.load(folder / "inputs.npy")
    sections, steps, floating_point = job["sections"], job["steps"], job["floating_point"]
    graph = flatten(
        read_graph(folder / "graph.nir", type_check=False),
        fused=job["fused"],
        floating_point=floating_point,
        chip=Chip.from_dict(job["chip"]),
        trust_marks=True,
    )
    plan = schedule(graph)
    time_steps, samples = inputs.shape[:2]
    stream = inputs.swapaxes(0, 1).reshape(samples * time_steps, *inputs.shape[2:])
    silence = np.zeros((plan.depth, *stream.shape[1:]), stream.dtype)
    parts = (graph, plan, np.concatenate([stream, silence]), time_steps, folder)
    processes = build_sections(*parts, sections) if sections else build(*parts, floating_point)

    sys.setrecursionlimit(sys.getrecursionlimit() + 2 * len(processes))  # Lava's compiler walks them recursively
    entry = next(iter(processes.values()))
    worker.watch(entry)
    tag, ours = model_choice(job["stock_models"], floating_point)
    configuration = Loihi2SimCfg(select_tag=tag, exception_proc_model_map=ours)
    for done in range(0, steps, time_steps):
        entry.run(
            RunSteps(min(time_steps, steps - done)),
            run_cfg=configuration,
            compile_config={"pypy_channel_size": CHANNEL_SLOTS},
        )
        worker.send({"done": min(done + time_steps, steps), "steps": steps})
    entry.stop()


def main(folder: str) -> None:
    """Do the job that a folder holds, and end this process."""
    run_as_worker(lambda worker: run(worker, Path(folder)))
