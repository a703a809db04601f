"""What a ladder is climbed on: a model and its fixed network, or an integer graph alone; and the targets that join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nir
import numpy as np
from torch import Tensor

import hardware
from hardware import LOIHI_2, Chip, PackedTrace, Target
from hardware.graph.numbers import check_numbers
from hardware.report.owned_folder import check_owned
from hardware.targets.interface import require
from hardware.targets.registry import get_targets
from qkformer import SpikingTransformer

from ..lower.graph import count_gates, to_nir
from ..network.fixed_model import FixedModel
from ..network.float_network import FloatNetwork
from ..network.node_network import OUTPUT
from .climb import BUNDLE, INTERPRETER, Climb, Ladder, Subject, Watch, Ways

MOST_GATES = 1_000_000  # that are executed unless it is said


def run_ladder(
    model: SpikingTransformer | FloatNetwork,
    fixed: FixedModel,
    images: Tensor | np.ndarray,
    folder: str | Path,
    *,
    labels: Tensor | None = None,
    targets: Sequence[str] | Mapping[str, Target] = ("interpreter", "lava"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    gates: bool | None = None,
    reference: PackedTrace | None = None,
    fail_fast: bool = False,
    memory_limit: float | None = None,
    versions: Mapping[str, str] | None = None,
    watch: Watch = lambda stage: nullcontext(),
) -> Ladder:
    """Climb the ladder; model.nir and perhaps bundle/ are written to a folder.

    images: [B, C, H, W], or the inputs [T, B, ...] of a float network, which has nothing to fold.

    The bundle of an earlier run is replaced or, where this run has none, removed.

    targets: names of `hardware.targets()`, or targets by name; the interpreter runs twice, from memory and from the
    file. options: of each target by its name. gates: whether the gates of marked nested graphs are executed; unless
    given, where there are fewer than a million. reference: the trace of the fixed model on another machine, in place of
    the rungs before it. fail_fast: stop at the first step that must be equal and is not. memory_limit: megabytes that
    each rung's packed trace may take; the rest goes to disk. watch: called with the name of a rung under way; gives a
    context whose value is the target's progress.
    Raises InputError for an unknown target, a reference of another network or other inputs, or a folder bundle/ that
    holds what is not ours; NotAvailableError for a target that is not there; and what quantizing, lowering and targets
    do.
    """
    execute = sum(count_gates(fixed).values()) < MOST_GATES if gates is None else gates
    chosen, found = _asked(targets, options, fixed.chip, execute, folder)
    subject = Subject(to_nir(fixed), fixed.encode(images), fixed.chip, fixed.encoding.logit_scale, OUTPUT)
    ways = Ways(Path(folder), fail_fast, memory_limit, versions or {}, watch)
    return Climb(subject, chosen, found, ways, model, fixed, images).climb(reference, labels)


def run_integer_ladder(
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    folder: str | Path,
    *,
    chip: Chip = LOIHI_2,
    logit_scale: float = 1.0,
    targets: Sequence[str] | Mapping[str, Target] = ("interpreter", "lava"),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    gates: bool | None = None,
    fail_fast: bool = False,
    memory_limit: float | None = None,
    versions: Mapping[str, str] | None = None,
    watch: Watch = lambda stage: nullcontext(),
) -> Ladder:
    """The integer steps alone, of a graph that is of integers already: from the interpreter to the targets.

    inputs: integers [T, B, *input shape]. logit_scale: what 1 at the output, summed over time, is worth. The rest is
    as `run_ladder` has it; the interpreter is the reference, whether or not it is among the targets.
    """
    flat = hardware.flatten(graph, chip=chip)
    check_numbers(flat)
    if gates is None:
        gates = sum(int(np.prod(flat.shapes[name])) for name in flat.internal if flat.is_population(name)) < MOST_GATES
    subject = Subject(graph, inputs, chip, logit_scale, flat.outputs[0])
    chosen, found = _asked(targets, options, chip, gates, folder)
    if INTERPRETER not in chosen:
        reference, shared = _asked((INTERPRETER,), None, chip, gates, folder)
        chosen, found = {**reference, **chosen}, {**shared, **found}
    return Climb(subject, chosen, found, Ways(Path(folder), fail_fast, memory_limit, versions or {}, watch)).climb()


def _asked(
    targets: Sequence[str] | Mapping[str, Target],
    options: Mapping[str, Mapping[str, Any]] | None,
    chip: Chip,
    gates: bool,
    folder: str | Path,
) -> tuple[dict[str, Target], dict[str, dict[str, Any]]]:
    """The targets, which are there, and the options of each: those given, and what all targets that can must share."""
    chosen = dict(targets) if isinstance(targets, Mapping) else get_targets(targets)
    check_owned(Path(folder) / BUNDLE)
    for target in chosen.values():
        require(target)
    return chosen, {
        name: _options(target, chip, gates, (options or {}).get(name, {})) for name, target in chosen.items()
    }


def _options(target: Target, chip: Chip, gates: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    shared = {"fused": not gates, "chip": chip}
    known = getattr(target, "options", {})
    return {name: value for name, value in shared.items() if name in known} | dict(given)
