"""A folder that reproduces a difference: the smallest part of the network that still differs, its inputs, a script.

The folder carries this package, which needs NumPy and NIR alone (and Lava, for a difference found there).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ..chip.chip import Chip
from ..graph.file import write_graph
from ..graph.subgraph import Subgraph, subgraph
from ..parity.divergence import Side
from ..parity.explanation import Explanation
from ..trace.spike_trace import SpikeTrace
from .owned_folder import replace_owned

RunGraph = Callable[[nir.NIRGraph, np.ndarray], Mapping[str, np.ndarray]]

PACKAGE = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("reproduce.py")


def smallest_failing(reference: Side, target: Side, run: RunGraph, name: str) -> Subgraph:
    """The shortest tail of the way to a population that still differs when it is run on the reference's spikes.

    The tail is found by bisection over the populations that lead to `name`, in execution order. Errors of timing need
    more of the network than the layer itself. Where nothing less than the whole way differs, that is the answer.
    """
    way = [*target.populations.ancestors(name), name]

    def differs(start: int) -> bool:
        part = subgraph(target.populations, way[start:])
        found = run(part.graph, part.inputs(reference.values))[name]
        return not np.array_equal(found, reference.trace[name])

    if differs(len(way) - 1):
        return subgraph(target.populations, [name])
    longer, shorter = 0, len(way) - 1  # way[longer:] is taken to differ; way[shorter:] does not
    while shorter - longer > 1:
        middle = (longer + shorter) // 2
        if differs(middle):
            longer = middle
        else:
            shorter = middle
    return subgraph(target.populations, way[longer:])


def write_bundle(
    folder: str | Path,
    reference: Side,
    target: Side,
    part: Subgraph,
    explanation: Explanation,
    *,
    backend: str,
    options: Mapping[str, Any] | None = None,
    versions: Mapping[str, str],
) -> Path:
    """Write the reproduction of a difference; returns the path of its script.

    part: what smallest_failing found. backend: the name of the target to run it again on, with its options.
    Written are graph.nir, spikes.trace (the inputs, and the last population's spikes on both sides), about.json,
    reproduce.py and a copy of this package. The folder is replaced whole; what is not ours there raises InputError.
    """
    name = explanation.divergence.population
    spikes = {"inputs": part.inputs(reference.values), "reference": reference.trace[name], "target": target.trace[name]}
    about = {
        "population": name,
        "populations": part.populations,
        "sources": list(part.sources),
        "target": backend,
        "options": {name: v.to_dict() if isinstance(v, Chip) else v for name, v in (options or {}).items()},
        "explanation": explanation.to_dict(),
        "versions": dict(versions),
    }

    def fill(place: Path) -> None:
        write_graph(part.graph, place / "graph.nir")
        SpikeTrace(spikes).save(place / "spikes.trace")
        (place / "about.json").write_text(json.dumps(about, indent=2) + "\n")
        _copy_package(place / PACKAGE.name)
        shutil.copyfile(SCRIPT, place / SCRIPT.name)

    return replace_owned(folder, fill) / SCRIPT.name


def _copy_package(place: Path) -> None:
    """Copy this package without its script; modes are those of the umask, not of the installation."""
    for file in sorted(PACKAGE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and file != SCRIPT:
            copy = place / file.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
