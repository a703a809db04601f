"""One fixed model on several targets, and the proof that not one spike differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nir
from torch import Tensor

import hardware
from hardware import ParityReport, SpikeTrace
from qkformer import record_spikes

from ..network.fixed_model import FixedModel

Progress = Callable[[str, int, int], None]
TARGETS: dict[str, Callable[..., SpikeTrace]] = {
    "interpreter": hardware.interpret,
    "lava": hardware.lava.simulate,
}


def reference_trace(fixed: FixedModel, images: Tensor) -> SpikeTrace:
    """Every population of the fixed model in PyTorch, [T, B, ...]; images: [B, C, H, W]."""
    with record_spikes(fixed) as trace:
        fixed(images)
    return trace


def run_targets(
    graph: nir.NIRGraph,
    inputs: Any,
    targets: Sequence[str] = tuple(TARGETS),
    progress: Progress | None = None,
) -> dict[str, SpikeTrace]:
    """The traces of a graph on each target, "interpreter" or "lava".

    inputs: whole numbers [T, B, ...]. progress: called with (target, done, in all).
    Raises ValueError for an unknown target, and what hardware.interpret and hardware.lava.simulate raise.
    """
    check_targets(targets)
    traces = {}
    for target in targets:

        def report(done: int, total: int, target: str = target) -> None:
            if progress:
                progress(target, done, total)

        traces[target] = TARGETS[target](graph, inputs, progress=report)
    return traces


def check_targets(targets: Sequence[str]) -> None:
    """Raise ValueError unless every target is known and there is one."""
    for target in targets:
        if target not in TARGETS:
            raise ValueError(f"no target is called '{target}'; there are {', '.join(TARGETS)}")
    if not targets:
        raise ValueError(f"no target to verify against; there are {', '.join(TARGETS)}")


def verify(
    fixed: FixedModel,
    graph: nir.NIRGraph,
    images: Tensor,
    targets: Sequence[str] = tuple(TARGETS),
    progress: Progress | None = None,
) -> ParityReport:
    """Compare the fixed model in PyTorch with its graph on each target, every population, by exact equality."""
    traces = run_targets(graph, fixed.encode(images), targets, progress)
    reference = reference_trace(fixed, images)
    return hardware.combine({target: hardware.compare(reference, trace) for target, trace in traces.items()})
