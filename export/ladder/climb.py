"""The ladder: from the float model to the targets, rung by rung, each held against the one before on the same inputs.

    float -> folded -> fixed                                      float steps: agreement of spikes and logits
    fixed -> interpreter -> read back (from the file) -> others   integer steps: every spike must be equal

Where an integer step is not equal, the first divergence is explained and a bundle that reproduces it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

import hardware
from hardware import PackedTrace, ParityReport, Target
from hardware.errors import InputError
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint
from hardware.graph.populations import PopulationGraph
from hardware.parity.divergence import Side, explain
from hardware.parity.results import LadderStep
from hardware.progress import Progress
from hardware.report.bundle import smallest_failing, write_bundle
from hardware.report.owned_folder import check_owned, remove_owned
from hardware.targets.interface import require
from hardware.targets.registry import get_targets
from qkformer import SpikingTransformer, record_spikes

from ..lower.graph import count_gates, to_nir
from ..network.fixed_model import FixedModel
from ..network.float_network import FloatNetwork
from ..network.node_network import OUTPUT
from ..sources.fold import fold_model
from .flips import trace_flips
from .folding import check_folding
from .leaks import find_leaks
from .reference_graph import reference_graph

FIXED, INTERPRETER, READ_BACK = "fixed", "interpreter", "read back"
BUNDLE = "bundle"  # in the folder of results
MOST_GATES = 1_000_000  # that are executed unless it is said

Watch = Callable[[str], AbstractContextManager[Progress | None]]


@dataclass
class Rung:
    """What one stage gave: its trace (population -> [T, B, ...]), logits [B, classes]; and the graph it executed."""

    name: str
    trace: PackedTrace
    logits: Tensor
    seconds: float
    graph: nir.NIRGraph | None = None


@dataclass
class Ladder:
    """The rungs of a ladder by name, in order, the report on them, and the script of the bundle, if there is one."""

    stages: dict[str, Rung]
    report: ParityReport
    graph: nir.NIRGraph
    script: Path | None


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
    chosen = dict(targets) if isinstance(targets, Mapping) else get_targets(targets)
    check_owned(Path(folder) / BUNDLE)
    for target in chosen.values():
        require(target)
    total = sum(count_gates(fixed).values())
    execute = total < MOST_GATES if gates is None else gates
    climb = _Climb(model, fixed, images, Path(folder), chosen, fail_fast, memory_limit, versions or {}, watch)
    climb.options = {
        name: _options(target, fixed, execute, (options or {}).get(name, {})) for name, target in chosen.items()
    }
    return climb.climb(reference, labels)


def _options(target: Target, fixed: FixedModel, gates: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one target: those given, and what all targets that can must share."""
    shared = {"fused": not gates, "chip": fixed.chip}
    known = getattr(target, "options", {})
    return {name: value for name, value in shared.items() if name in known} | dict(given)


@dataclass
class _Climb:
    model: SpikingTransformer | FloatNetwork
    fixed: FixedModel
    images: Any
    folder: Path
    targets: Mapping[str, Target]
    fail_fast: bool
    memory_limit: float | None
    versions: Mapping[str, str]
    watch: Watch
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: dict[str, Rung] = field(default_factory=dict)
    steps: list[LadderStep] = field(default_factory=list)
    exact: dict[str, ParityReport] = field(default_factory=dict)
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    findings: dict[str, Any] = field(default_factory=dict)
    script: Path | None = None

    def __post_init__(self) -> None:
        self.inputs = self.fixed.encode(self.images)

    def climb(self, reference: PackedTrace | None, labels: Tensor | None) -> Ladder:
        graph = to_nir(self.fixed)
        about = {"graph": graph_fingerprint(graph), "inputs": array_fingerprint(self.inputs)}
        if reference is None:
            self._float_stages()
            self.stages[FIXED].trace.about = about | {"versions": dict(self.versions)}
        else:
            self._reference(reference, about)
        if INTERPRETER in self.targets:
            self._target(INTERPRETER, INTERPRETER, graph)
        hardware.write_graph(graph, self.folder / "model.nir")
        read = hardware.read_graph(self.folder / "model.nir")
        for name in self.targets:
            if not (self.fail_fast and self._failed()):
                self._target(READ_BACK if name == INTERPRETER else name, name, read)
        if self.script is None:
            remove_owned(self.folder / BUNDLE)
        report = replace(
            hardware.combine(self.exact, accuracy=self._accuracy(labels), versions=self.versions),
            ladder=tuple(self.steps),
            fused=self.fused,
            **self.findings,
        )
        return Ladder(self.stages, report, read, self.script)

    def _float_stages(self) -> None:
        """Float, folded and fixed, with the checks that need no target."""
        self._torch("float", self.model)
        if isinstance(self.model, FloatNetwork):  # there is nothing to fold
            self._torch(FIXED, self.fixed)
            self._agreement(FIXED, "float")
            return
        channels, height, width = self.fixed.encoding.input_shape
        folded = fold_model(self.model, (channels, height, width))
        self.findings["folding"] = check_folding(self.model, folded)
        self._torch("folded", folded)
        self._agreement("folded", "float")
        self._torch(FIXED, self.fixed)
        self._agreement(FIXED, "folded")
        with self.watch("samples alone and in company"):
            self.findings["leaks"] = find_leaks(self.model, self.images) + find_leaks(self.fixed, self.images)
        with self.watch("flips of each layer"):
            traces = (self.stages[name].trace for name in ("float", FIXED))
            self.findings["flips"] = trace_flips(folded, self.fixed, self.images, *traces)

    @torch.no_grad()
    def _torch(self, name: str, model: nn.Module) -> None:
        trace, start = PackedTrace(self.memory_limit), time.perf_counter()
        with self.watch(name), record_spikes(model, into=trace):
            logits = model(self.images)
        self.stages[name] = Rung(name, trace, logits.float().cpu(), time.perf_counter() - start)

    def _reference(self, trace: PackedTrace, about: Mapping[str, str]) -> None:
        """The fixed rung as it ran elsewhere."""
        for what, wanted in about.items():
            if trace.about.get(what) != wanted:
                raise InputError(
                    f"the loaded trace is of other {what if what == 'inputs' else 'weights'} "
                    f"({str(trace.about.get(what))[:12]}) than this run ({wanted[:12]}); "
                    "give the same checkpoint, --data and --images"
                )
        self.stages[FIXED] = Rung(FIXED, trace, self._logits(trace), 0.0)

    def _target(self, stage: str, name: str, graph: nir.NIRGraph) -> None:
        """A rung whose spikes must be equal to those before: a target executes a graph."""
        target, options = self.targets[name], self.options[name]
        trace, start = PackedTrace(self.memory_limit), time.perf_counter()
        with self.watch(stage) as progress:
            target.run(graph, self.inputs, progress=progress, into=trace, **options)
        before = next(reversed(self.stages.values()))
        rung = Rung(stage, trace, self._logits(trace), time.perf_counter() - start, graph)
        self.stages[stage] = rung
        if hasattr(target, "describe"):
            self.fused[stage] = tuple(target.describe(graph, **options).get("fused", ()))
        report = hardware.compare(before.trace, trace, fail_fast=self.fail_fast)
        self.exact[stage] = report
        self._step(rung, before, report.compared, report.mismatches, exact=True)
        if report.first_divergence and "explanation" not in self.findings:
            self._explain(before, rung, name, report)

    def _explain(self, before: Rung, rung: Rung, name: str, report: ParityReport) -> None:
        assert report.first_divergence
        assert rung.graph
        chip = self.fixed.chip
        wanted = PopulationGraph(before.graph or reference_graph(self.fixed, rung.graph), chip)
        found = PopulationGraph(rung.graph, chip)
        if wanted.flat.internal or found.flat.internal:
            return  # gates whose mark nothing proves stand between populations, and no trace holds them
        reference, target = Side(before.trace, wanted, self.inputs), Side(rung.trace, found, self.inputs)
        first = replace(report.first_divergence, target=rung.name)
        with self.watch(f"explaining {first.population}"):
            differing = [population.name for population in report.populations if population.mismatches]
            explanation = explain(reference, target, first, differing)
            run = partial(self.targets[name].run, **self.options[name])
            part = smallest_failing(reference, target, run, first.population)
            self.script = write_bundle(
                self.folder / BUNDLE,
                reference,
                target,
                part,
                explanation,
                backend=name,
                options=self.options[name],
                versions=self.versions,
            )
        self.findings["explanation"] = explanation

    def _agreement(self, name: str, before: str) -> None:
        """A float step: the share of equal spikes in the populations that both have."""
        rung, against = self.stages[name], self.stages[before]
        compared = mismatches = 0
        for population in rung.trace.keys() & against.trace.keys():
            found = rung.trace[population]
            compared += found.size
            mismatches += int((found != against.trace[population]).sum())  # channel attention: [C, 1, 1] to [C, H, W]
        self._step(rung, against, compared, mismatches, exact=False)

    def _step(self, rung: Rung, before: Rung, compared: int, mismatches: int, exact: bool) -> None:
        error = (rung.logits - before.logits).abs().max().item()
        same = (rung.logits.flatten(1).argmax(1) == before.logits.flatten(1).argmax(1)).double().mean().item()
        self.steps.append(LadderStep(rung.name, before.name, exact, compared, mismatches, error, same, rung.seconds))

    def _failed(self) -> bool:
        return any(report.mismatches for report in self.exact.values())

    def _logits(self, trace: Mapping[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(self.fixed.encoding.logits(trace[OUTPUT])).float()

    def _accuracy(self, labels: Tensor | None) -> dict[str, float]:
        if labels is None:
            return {}
        return {name: (rung.logits.argmax(1) == labels).double().mean().item() for name, rung in self.stages.items()}
