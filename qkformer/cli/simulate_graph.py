"""`qkformer simulate MODEL.nir --inputs FILE.npz`: any NIR file on given inputs, on any target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import hardware
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint
from hardware.targets.interface import check_options, require
from hardware.targets.registry import get_target

from .graphs import Reading, runnable
from .outputs import check_writable
from .record import command_line, write_json
from .running import describe, run_target
from .show import say


def run_graph_simulation(
    file: Path, output: Path, name: str, reading: Reading, asked: Mapping[str, Any], json: Path | None
) -> None:
    """Run a NIR graph on the inputs of a file and write every population's spikes.

    A graph that is not of integers is run in floating point, by targets that can. asked: options, None if not given.
    """
    target, options = get_target(name), {option: value for option, value in asked.items() if value is not None}
    check_options(target, options)
    require(target)
    check_writable(output, json, reads=(file, reading.inputs))
    graph, inputs, integer = runnable(file, reading)
    if not integer:
        options["floating_point"] = True
        check_options(target, options)
        say(
            "note: its numbers are not a chip's integers, so it is run in floating point; "
            "`qkformer export` makes integers of it"
        )
    target.check(graph, **options)
    trace, seconds = run_target(target, graph, inputs, **options)
    about = {"command": command_line(), "inputs": array_fingerprint(inputs)}
    saved = hardware.SpikeTrace(trace, about=about | ({"graph": graph_fingerprint(graph)} if integer else {}))
    saved.save(output)
    spikes = sum(int(np.count_nonzero(values)) for values in trace.values())
    steps, samples = inputs.shape[:2]
    say(
        f"{output}: {len(trace)} populations, {spikes:,} spikes in {steps} time steps of {samples} samples, "
        f"{seconds:.1f} s"
    )
    how = describe(target, graph, **options)
    write_json(
        json,
        {
            "trace": str(output),
            "target": name,
            "backend": name,
            "sections": how.get("sections"),
            "fused": list(how.get("fused", ())),
            "images": samples,
            "time_steps": steps,
            "populations": len(trace),
            "spikes": spikes,
            "seconds": seconds,
        },
    )
