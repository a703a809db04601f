"""A NIR graph on Lava's bit-accurate Loihi models, in processes of their own."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.arithmetic import encode_bias
from ...chip.chip import Chip
from ...errors import GraphError, InputError, RangeError
from ...graph.bounds import uncertified_synapses
from ...graph.file import write_graph
from ...graph.flat import FlatGraph, at_rest
from ...graph.flatten import flatten, without_gates
from ...graph.numbers import integer_neuron
from ...graph.schedule import Schedule, schedule
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from ..interpreter.values import check_inputs
from .installed import require_lava
from .records import read_records
from .supervise import LavaError, run_supervised
from .undisturbed import private_folder

MOST_PROCESSES = 200  # of the operating system, that two cores still serve in reasonable time
MOST_SECTIONS = 1_000
MOST_VALUES = 200_000  # sent from process to process at each time step

PACKAGES = Path(__file__).parents[3]  # the folder of the package that runs here
# Not `-m`: that would look for modules in the current folder first, whatever lies there.
WORKER = (
    "import sys; packages, folder = sys.argv[1:]; sys.path[:] = [packages, *filter(None, sys.path)]; "
    f"from {__package__}.worker import main; main(folder)"
)


def simulate(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    *,
    bit_accurate: bool = True,
    stock_models: bool = False,
    sections: int | None = None,
    fused: bool = True,
    chip: Chip = LOIHI_2,
    progress: Progress | None = None,
    into: MutableMapping[str, np.ndarray] | None = None,
) -> MutableMapping[str, np.ndarray]:
    """Run a NIR graph of integer weights in Lava, samples streamed back to back.

    inputs: integers [T, B, *input shape]. bit_accurate: Lava's fixed-point models; without it, its
    floating-point models, for graphs of any weights (sections = 0).
    sections: in how many Lava processes of our own the network runs; 0: each population and synapse is one of Lava's
    own processes, run by Lava's bit-accurate models but for Conv, which is a matrix product. Unless given, 0 for up
    to 200 such processes that send up to 200,000 values a step, else as many as there are cores.
    stock_models: sections = 0, and Conv is Lava's own model too. fused: marked nested graphs whose gates prove the
    mark run as the one operation they compute, in a process of ours; without it, gate by gate. chip: whose formats and
    delays. progress: called with (steps done, steps in all). into: where the trace goes, as in hardware.interpret.

    Returns the spikes of every LIF, IF and Threshold, int8 [T, B, ...], and the sums at every Output node, int32
    [T, B, ...], by node name in execution order, as hardware.interpret does.
    Raises GraphError or RangeError before anything runs, NotAvailableError if Lava is missing, and LavaError, with the
    traceback of the Lava process that failed, within seconds of its failure; nothing is left running then.
    """
    flat, plan = checked(graph, bit_accurate=bit_accurate, fused=fused, chip=chip)
    inputs = check_inputs(flat, inputs, floating_point=not bit_accurate)
    sections = sections_for(plan, sections, lavas_own=stock_models or not bit_accurate)
    if bit_accurate and not sections:
        check_synapses(flat, plan, inputs)
    with private_folder("lava-job-") as folder:
        run_job(
            folder,
            without_gates(graph, flat.operations) if fused else graph,
            inputs,
            plan.steps(inputs.shape[1], inputs.shape[0]),
            chip=chip,
            stock_models=stock_models,
            sections=sections,
            fused=fused,
            floating_point=not bit_accurate,
            progress=progress,
        )
        trace = SpikeTrace() if into is None else into
        trace.update(read_records(folder, flat, plan, *inputs.shape[:2]))
        return trace


def run_job(
    folder: Path,
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    steps: int,
    *,
    chip: Chip = LOIHI_2,
    stock_models: bool = False,
    sections: int = 0,
    fused: bool = True,
    floating_point: bool = False,
    progress: Progress | None = None,
) -> None:
    """Run a checked graph for a number of time steps; the worker leaves its records in the folder."""
    require_lava()
    write_graph(graph, folder / "graph.nir", compression=None)
    np.save(folder / "inputs.npy", inputs)
    job: dict[str, Any] = {"stock_models": stock_models, "sections": sections, "fused": fused, "steps": steps}
    job |= {"floating_point": floating_point, "chip": chip.to_dict()}
    (folder / "job.json").write_text(json.dumps(job))
    try:
        run_supervised(
            [sys.executable, "-c", WORKER, str(PACKAGES), str(folder)],
            on_message=lambda message: progress(message["done"], message["steps"]) if progress else None,
        )
    except LavaError as error:  # what a process of ours found is what the interpreter would have said
        _, found, text = error.summary.partition(f"{RangeError.__module__}.{RangeError.__qualname__}: ")
        if found:
            raise RangeError(text) from error
        raise


def check_synapses(flat: FlatGraph, plan: Schedule, inputs: np.ndarray) -> None:
    """Raise RangeError where a sum might exceed what Lava's own synapses send, which they clip without a word."""
    for name, most in uncertified_synapses(flat, plan, (float(inputs.min()), float(inputs.max()))).items():
        raise RangeError(
            f"{name}: sum can reach {most:g}, the limit of a message is {plan.chip.message_limit}, beyond which "
            "Lava's own synapses wrap; use smaller weights, or sections, which are watched as they run"
        )


def checked(graph: nir.NIRGraph, *, bit_accurate: bool, fused: bool, chip: Chip) -> tuple[FlatGraph, Schedule]:
    """The graph flat and scheduled, or GraphError / RangeError if Lava cannot hold it.

    Each population has what Lava gives it: thresholds in synaptic units, one exponent of its biases.
    """
    if (chip.fraction_bits, chip.decay_bits) != (LOIHI_2.fraction_bits, LOIHI_2.decay_bits):
        raise GraphError(f"Lava has the formats of {LOIHI_2.title}; {chip.title} has others")
    flat = flatten(graph, fused=fused, floating_point=not bit_accurate, chip=chip)
    plan = schedule(flat)
    if bit_accurate:
        resting = at_rest(flat)
        for name in flat.populations:
            integer_neuron(flat, name).synaptic_threshold(name)
            encode_bias(name, resting[name], chip)
    return flat, plan


def sections_for(plan: Schedule, sections: int | None, *, lavas_own: bool) -> int:
    """How many sections a network runs in; 0 for Lava's own processes. Raises InputError for a number that is none."""
    if sections is None:
        sections = 0 if lavas_own else default_sections(plan)
    if sections < 0 or (sections and lavas_own):
        raise InputError(f"sections is {sections}; it must be at least 0, and 0 for Lava's own models")
    if sections > MOST_SECTIONS:
        raise InputError(f"sections is {sections}; at most {MOST_SECTIONS:,} are possible, each is a process")
    return min(sections, len(plan.populations))  # of which each is in one section


def default_sections(plan: Schedule) -> int:
    """0, for Lava's own processes, where they and their messages are few; else a section for each core."""
    values = sum(math.prod(population.shape) for population in plan.populations.values())
    return 0 if process_count(plan) <= MOST_PROCESSES and values <= MOST_VALUES else os.cpu_count() or 1


def process_count(plan: Schedule) -> int:
    """How many of Lava's own processes a network takes: populations, synapses, a recorder for each that is read."""
    returning = sum(connection.is_feedback for connection in plan.connections)
    return len(plan.populations) + len(plan.connections) + returning + len(plan.recorded)
