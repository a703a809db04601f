"""A target run with a progress bar and a clock."""

from __future__ import annotations

import time
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from hardware.targets.interface import Target

from .show import progress, say

if TYPE_CHECKING:
    import nir
    import numpy as np


def run_target(
    target: Target, graph: nir.NIRGraph, inputs: np.ndarray, **options: Any
) -> tuple[MutableMapping[str, np.ndarray], float]:
    """The trace of a graph on a target, and the seconds it took. inputs: [T, B, ...]."""
    start = time.perf_counter()
    with progress(f"{target.name}, {inputs.shape[1]} images") as report:
        trace = target.run(graph, inputs, progress=report, **options)
    return trace, time.perf_counter() - start


def say_notes(targets: Iterable[Target]) -> list[str]:
    """Print what targets say of themselves as they are installed, a line each; the lines."""
    asked = (getattr(target, "note", lambda: None)() for target in targets)  # one of another package may have none
    notes = [note for note in asked if note]
    for note in notes:
        say(f"note: {note}")
    return notes


def describe(target: Target, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
    """How a target runs a graph, in plain values; nothing if it does not say."""
    described: dict[str, Any] = target.describe(graph, **options) if hasattr(target, "describe") else {}
    return described
