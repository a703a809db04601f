"""The ladder: from the float model to the target stage by stage, each held against the one before on the same inputs.

    float -> folded -> fixed          float steps: agreement of spikes and logits
    fixed -> interpreter -> read back (from the file) -> lava -> onnx  integer steps: every spike must be equal

Where an integer step is not equal, the first divergence is explained and a bundle that reproduces it is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import nir
import numpy as np
import torch
from torch import Tensor, nn

import hardware
from hardware import PackedTrace, ParityReport
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint
from hardware.graph.layers import Layers
from hardware.parity.divergence import Side, explain
from hardware.parity.invariance import Leak, check_invariance
from hardware.parity.ladder import Step
from hardware.report.bundle import smallest_failing, write_bundle
from qkformer import SpikingTransformer, record_spikes

from ..lower.graph import to_nir
from ..lower.onnx import check_onnx, run_onnx, to_onnx
from ..network.fixed_model import FixedModel
from ..network.node_network import OUTPUT
from ..sources.fold import fold_model
from .check import TARGETS
from .flips import trace_flips
from .folding import check_folding
from .reference_graph import reference_graph

COMPANY = 2  # samples that are also run alone
FIXED, INTERPRETER, READ_BACK, LAVA, ONNX = "fixed", "interpreter", "read back", "lava", "onnx"

Run = Callable[..., Mapping[str, np.ndarray]]
Watch = Callable[[str], AbstractContextManager]


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
    """The stages of a ladder by name, in order, the report on them, and the script of the bundle, if there is one."""

    stages: dict[str, Rung]
    report: ParityReport
    graph: nir.NIRGraph
    script: Path | None


def find_leaks(model: nn.Module, images: Tensor) -> tuple[Leak, ...]:
    """Samples of a model in PyTorch, float or fixed, that are not independent; the first few are tried."""

    def run(samples: Sequence[int]) -> Mapping[str, np.ndarray]:
        with torch.no_grad(), record_spikes(model) as trace:
            model(images[list(samples)])
        return trace

    samples = min(COMPANY, len(images))
    return check_invariance(run, samples) if samples > 1 else ()


def run_ladder(
    model: SpikingTransformer,
    fixed: FixedModel,
    images: Tensor,
    folder: str | Path,
    *,
    labels: Tensor | None = None,
    targets: Sequence[str] = tuple(TARGETS),
    run: Mapping[str, Run] = TARGETS,
    reference: PackedTrace | None = None,
    fail_fast: bool = False,
    memory_limit: float | None = None,
    versions: Mapping[str, str] | None = None,
    watch: Watch = lambda stage: nullcontext(),
) -> Ladder:
    """Climb the ladder with images [B, C, H, W]; model.nir and perhaps bundle/ are written to a folder.

    targets: "interpreter" (in memory, and read back from the file), "lava", "onnx". run: how each target runs a graph:
    called with (graph, inputs, progress=, into=). reference: the trace of the fixed model on another machine, in
    place of the stages before it. fail_fast: stop at the first step that must be equal and is not. memory_limit:
    megabytes that each stage's packed trace may take; the rest goes to disk. watch: called with the name of a stage
    under way; gives a context whose value is the target's progress.
    Raises ValueError for a reference of another network or other inputs, and what quantizing, lowering and targets do.
    """
    return _Climb(model, fixed, images, Path(folder), run, fail_fast, memory_limit, watch).climb(
        targets, reference, labels, versions or {}
    )


class _Climb:
    def __init__(self, model, fixed, images, folder, run, fail_fast, memory_limit, watch):
        self.model, self.fixed, self.images, self.folder = model, fixed, images, folder
        self.run, self.fail_fast, self.memory_limit, self.watch = run, fail_fast, memory_limit, watch
        self.inputs = fixed.encode(images)
        self.stages: dict[str, Rung] = {}
        self.steps: list[Step] = []
        self.exact: dict[str, ParityReport] = {}
        self.findings: dict[str, object] = {}
        self.script: Path | None = None
        self.versions: Mapping[str, str] = {}

    def climb(self, targets, reference, labels, versions) -> Ladder:
        self.versions = versions
        if ONNX in targets:
            check_onnx()
        graph = to_nir(self.fixed)
        about = {"graph": graph_fingerprint(graph), "inputs": array_fingerprint(self.inputs)}
        if reference is None:
            self._float_stages()
            self.stages[FIXED].trace.about = about | {"versions": dict(versions)}
        else:
            self._reference(reference, about)
        read = graph
        for name, target in ((INTERPRETER, INTERPRETER), (READ_BACK, INTERPRETER), (LAVA, LAVA)):
            if name == READ_BACK:
                hardware.write_graph(graph, self.folder / "model.nir")
                read = hardware.read_graph(self.folder / "model.nir")
            if target in targets and not (self.fail_fast and self._failed()):
                self._target(name, partial(self.run[target], read), read, target)
        if ONNX in targets and not (self.fail_fast and self._failed()):
            with self.watch("writing ONNX"):
                to_onnx(self.fixed, self.inputs, self.folder / "model.onnx")
            self._target(ONNX, partial(run_onnx, self.folder / "model.onnx"))
        report = replace(
            hardware.combine(self.exact, accuracy=self._accuracy(labels), versions=versions),
            ladder=tuple(self.steps),
            **self.findings,
        )
        return Ladder(self.stages, report, read, self.script)

    def _float_stages(self) -> None:
        """Float, folded and fixed, with the checks that need no target."""
        self._torch("float", self.model)
        folded = fold_model(self.model, self.fixed.encoding.input_shape)
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
        """The fixed stage as it ran elsewhere."""
        for what, wanted in about.items():
            if trace.about.get(what) != wanted:
                raise ValueError(
                    f"the loaded trace is of other {what if what == 'inputs' else 'weights'} "
                    f"({str(trace.about.get(what))[:12]}) than this run ({wanted[:12]}); "
                    "give the same checkpoint, --data and --images"
                )
        self.stages[FIXED] = Rung(FIXED, trace, self._logits(trace), 0.0)

    def _target(self, name: str, run: Run, graph: nir.NIRGraph | None = None, target: str = "") -> None:
        """A stage whose spikes must be equal to those before. graph: what it executes, to explain a difference by."""
        trace, start = PackedTrace(self.memory_limit), time.perf_counter()
        with self.watch(name) as progress:
            run(self.inputs, progress=progress, into=trace)
        before = next(reversed(self.stages.values()))
        stage = Rung(name, trace, self._logits(trace), time.perf_counter() - start, graph)
        self.stages[name] = stage
        report = hardware.compare(before.trace, trace, fail_fast=self.fail_fast)
        self.exact[name] = report
        self._step(stage, before, report.compared, report.mismatches, exact=True)
        if report.first_divergence and graph and "explanation" not in self.findings:
            self._explain(before, stage, target, report)

    def _explain(self, before: Rung, stage: Rung, target: str, report: ParityReport) -> None:
        wanted = before.graph or reference_graph(self.fixed, stage.graph)
        sides = (Side(s.trace, Layers(graph), self.inputs) for s, graph in ((before, wanted), (stage, stage.graph)))
        reference, found = sides
        first = replace(report.first_divergence, target=stage.name)
        with self.watch(f"explaining {first.population}"):
            differing = [population.name for population in report.populations if population.mismatches]
            explanation = explain(reference, found, first, differing)
            part = smallest_failing(reference, found, self.run[target], first.population)
            self.script = write_bundle(
                self.folder / "bundle", reference, found, part, explanation, backend=target, versions=self.versions
            )
        self.findings["explanation"] = explanation

    def _agreement(self, name: str, before: str) -> None:
        """A float step: the share of equal spikes in the populations that both have."""
        stage, against = self.stages[name], self.stages[before]
        compared = mismatches = 0
        for population in stage.trace.keys() & against.trace.keys():
            found = stage.trace[population]
            compared += found.size
            mismatches += int((found != against.trace[population]).sum())  # channel attention: [C, 1, 1] to [C, H, W]
        self._step(stage, against, compared, mismatches, exact=False)

    def _step(self, stage: Rung, before: Rung, compared: int, mismatches: int, exact: bool) -> None:
        error = (stage.logits - before.logits).abs().max().item()
        same = (stage.logits.argmax(1) == before.logits.argmax(1)).double().mean().item()
        self.steps.append(Step(stage.name, before.name, exact, compared, mismatches, error, same, stage.seconds))

    def _failed(self) -> bool:
        return any(report.mismatches for report in self.exact.values())

    def _logits(self, trace: Mapping[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(self.fixed.encoding.logits(trace[OUTPUT])).float()

    def _accuracy(self, labels: Tensor | None) -> dict[str, float]:
        if labels is None:
            return {}
        return {name: (stage.logits.argmax(1) == labels).double().mean().item() for name, stage in self.stages.items()}
