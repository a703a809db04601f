"""The ladder: from the float model to the targets, rung by rung, each held against the one before on the same inputs.

    float -> folded -> fixed                                      float steps: agreement of spikes and logits
    fixed -> interpreter -> read back (from the file) -> others   integer steps: every spike must be equal

Where an integer step is not equal, the first divergence is explained and a bundle that reproduces it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

import hardware
from hardware import Chip, PackedTrace, ParityReport, Target
from hardware.errors import InputError
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint
from hardware.graph.populations import PopulationGraph
from hardware.parity.divergence import Side, explain
from hardware.parity.results import LadderStep
from hardware.progress import Progress
from hardware.report.bundle import smallest_failing, write_bundle
from hardware.report.owned_folder import remove_owned
from qkformer import SpikingTransformer, record_spikes

from ..network.fixed_model import FixedModel
from ..network.float_network import FloatNetwork
from ..sources.fold import fold_model
from .cell_flips import trace_cell_flips
from .flips import trace_flips
from .folding import check_folding
from .leaks import find_leaks
from .reference_graph import reference_graph

FIXED, INTERPRETER, READ_BACK = "fixed", "interpreter", "read back"
BUNDLE = "bundle"  # in the folder of results

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


@dataclass(frozen=True)
class Subject:
    """What is verified: an integer graph on inputs [T, B, ...], and how the node `output` of it is read."""

    graph: nir.NIRGraph
    inputs: np.ndarray
    chip: Chip
    logit_scale: float
    output: str


@dataclass(frozen=True)
class Ways:
    """How it is done, whatever is verified."""

    folder: Path
    fail_fast: bool
    memory_limit: float | None
    versions: Mapping[str, str]
    watch: Watch


@dataclass
class Climb:
    """fixed: the network in PyTorch that the graph was made of, if any; model: in float; images: as they take them."""

    subject: Subject
    targets: Mapping[str, Target]
    options: Mapping[str, dict[str, Any]]
    ways: Ways
    model: SpikingTransformer | FloatNetwork | None = None
    fixed: FixedModel | None = None
    images: Any = None
    stages: dict[str, Rung] = field(default_factory=dict)
    steps: list[LadderStep] = field(default_factory=list)
    exact: dict[str, ParityReport] = field(default_factory=dict)
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    findings: dict[str, Any] = field(default_factory=dict)
    script: Path | None = None

    def climb(self, reference: PackedTrace | None = None, labels: Tensor | None = None) -> Ladder:
        """All rungs, and the report on them."""
        graph = self.subject.graph
        about = {"graph": graph_fingerprint(graph), "inputs": array_fingerprint(self.subject.inputs)}
        if reference is not None:
            self._reference(reference, about)
        elif self.model is not None and self.fixed is not None:
            self._float_stages(self.model, self.fixed)
            self.stages[FIXED].trace.about = about | {"versions": dict(self.ways.versions)}
        if INTERPRETER in self.targets:
            self._target(INTERPRETER, INTERPRETER, graph)
        hardware.write_graph(graph, self.ways.folder / "model.nir")
        read = hardware.read_graph(self.ways.folder / "model.nir")
        for name in self.targets:
            if not (self.ways.fail_fast and self._failed()):
                self._target(READ_BACK if name == INTERPRETER else name, name, read)
        if self.script is None:
            remove_owned(self.ways.folder / BUNDLE)
        report = replace(
            hardware.combine(self.exact, accuracy=self._accuracy(labels), versions=self.ways.versions),
            ladder=tuple(self.steps),
            fused=self.fused,
            **self.findings,
        )
        return Ladder(self.stages, report, read, self.script)

    def _float_stages(self, model: SpikingTransformer | FloatNetwork, fixed: FixedModel) -> None:
        """Float, folded and fixed, with the checks that need no target."""
        self._torch("float", model)
        if isinstance(model, FloatNetwork):  # there is nothing to fold
            self._torch(FIXED, fixed)
            self._agreement(FIXED, "float")
            with self.ways.watch("flips of each population"):
                traces = (self.stages[name].trace for name in ("float", FIXED))
                self.findings["flips"] = trace_cell_flips(model, fixed, self.images, *traces)
            return
        channels, height, width = fixed.encoding.input_shape
        folded = fold_model(model, (channels, height, width))
        self.findings["folding"] = check_folding(model, folded)
        self._torch("folded", folded)
        self._agreement("folded", "float")
        self._torch(FIXED, fixed)
        self._agreement(FIXED, "folded")
        with self.ways.watch("samples alone and in company"):
            self.findings["leaks"] = find_leaks(model, self.images) + find_leaks(fixed, self.images)
        with self.ways.watch("flips of each layer"):
            traces = (self.stages[name].trace for name in ("float", FIXED))
            self.findings["flips"] = trace_flips(folded, fixed, self.images, *traces)

    @torch.no_grad()
    def _torch(self, name: str, model: nn.Module) -> None:
        trace, start = PackedTrace(self.ways.memory_limit), time.perf_counter()
        with self.ways.watch(name), record_spikes(model, into=trace):
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
        trace, start = PackedTrace(self.ways.memory_limit), time.perf_counter()
        with self.ways.watch(stage) as progress:
            target.run(graph, self.subject.inputs, progress=progress, into=trace, **options)
        before = next(reversed(self.stages.values()), None)
        rung = Rung(stage, trace, self._logits(trace), time.perf_counter() - start, graph)
        self.stages[stage] = rung
        if hasattr(target, "describe"):
            self.fused[stage] = tuple(target.describe(graph, **options).get("fused", ()))
        if before is None:
            return
        report = hardware.compare(before.trace, trace, fail_fast=self.ways.fail_fast)
        self.exact[stage] = report
        self._step(rung, before, report.compared, report.mismatches, exact=True)
        if report.first_divergence and "explanation" not in self.findings:
            self._explain(before, rung, name, report)

    def _explain(self, before: Rung, rung: Rung, name: str, report: ParityReport) -> None:
        assert report.first_divergence
        assert rung.graph
        chip, known = self.subject.chip, before.graph
        if known is None:
            assert self.fixed
            known = reference_graph(self.fixed, rung.graph)
        wanted = PopulationGraph(known, chip)
        found = PopulationGraph(rung.graph, chip)
        if wanted.flat.internal or found.flat.internal:
            return  # gates whose mark nothing proves stand between populations, and no trace holds them
        inputs = self.subject.inputs
        reference, target = Side(before.trace, wanted, inputs), Side(rung.trace, found, inputs)
        first = replace(report.first_divergence, target=rung.name)
        with self.ways.watch(f"explaining {first.population}"):
            differing = [population.name for population in report.populations if population.mismatches]
            explanation = explain(reference, target, first, differing)
            run = partial(self.targets[name].run, **self.options[name])
            part = smallest_failing(reference, target, run, first.population)
            self.script = write_bundle(
                self.ways.folder / BUNDLE,
                reference,
                target,
                part,
                explanation,
                backend=name,
                options=self.options[name],
                versions=self.ways.versions,
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
        logits = hardware.logits_of(trace[self.subject.output], self.subject.logit_scale)
        return torch.from_numpy(np.asarray(logits)).float()

    def _accuracy(self, labels: Tensor | None) -> dict[str, float]:
        if labels is None:
            return {}
        return {name: (rung.logits.argmax(1) == labels).double().mean().item() for name, rung in self.stages.items()}
