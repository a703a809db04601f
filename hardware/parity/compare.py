"""Two traces -> report: how many values differ, population by population, and where the first one is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ..errors import InputError, TraceError
from .explanation import Divergence
from .results import ParityReport, PopulationParity

NAMED_POPULATIONS = 5  # in an error


def compare(
    reference: Mapping[str, np.ndarray],
    trace: Mapping[str, np.ndarray],
    *,
    names: tuple[str, str] = ("the reference", "the trace"),
    fail_fast: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ParityReport:
    """Compare two traces (population -> [T, B, ...]) value by value, by exact equality.

    Populations are taken in the trace's order, which is the order of execution, and read one at a time: a PackedTrace
    is never unpacked as a whole. names: what errors call the two. fail_fast: stop behind the first that differs.
    progress: called with (populations done, in all). Raises TraceError if a population is in only one trace or has
    another shape there: a population that was not compared is not equal.
    """
    _check_populations(names[0], reference, trace)
    _check_populations(names[1], trace, reference)
    populations: list[PopulationParity] = []
    first = None
    for done, name in enumerate(trace):
        if progress:
            progress(done, len(trace))
        wanted, found = np.asarray(reference[name]), np.asarray(trace[name])
        different = _different(name, wanted, found, names)
        count = int(np.count_nonzero(different))
        if count and first is None:
            where = tuple(int(i) for i in np.argwhere(different)[0])
            first = Divergence(name, where[0], where[1], where[2:], _number(wanted[where]), _number(found[where]))
        neurons = math.prod(wanted.shape[2:])
        spikes = int(np.count_nonzero(wanted))
        steps = wanted.shape[0] * wanted.shape[1]
        populations.append(PopulationParity(name, neurons, spikes, wanted.size, count, steps))
        if count and fail_fast:
            break
    return ParityReport(tuple(populations), first)


def _check_populations(name: str, trace: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    only = sorted(set(trace) - set(other))
    if only:
        more = f" and {len(only) - NAMED_POPULATIONS} more" if len(only) > NAMED_POPULATIONS else ""
        shown = ", ".join(only[:NAMED_POPULATIONS]) + more
        raise TraceError(f"populations only in {name}: {shown}; both must have the same")


def _different(name: str, wanted: np.ndarray, found: np.ndarray, names: tuple[str, str]) -> np.ndarray:
    if wanted.shape != found.shape:
        raise TraceError(f"population '{name}' is {wanted.shape} in {names[0]} and {found.shape} in {names[1]}")
    if wanted.ndim < 2:
        raise TraceError(f"population '{name}' has the shape {wanted.shape}; [T, B, ...] is needed")
    return np.asarray(wanted != found)


def _number(value: np.generic) -> int | float:
    """As Python's: an integer, also where a trace holds it as a float, or a float."""
    number: int | float = value.item()
    return int(number) if float(number).is_integer() else number


def combine(
    targets: Mapping[str, ParityReport],
    *,
    accuracy: Mapping[str, float] | None = None,
    versions: Mapping[str, str] | None = None,
) -> ParityReport:
    """One report on several targets with the same populations: their counts added up.

    The first divergence is that of the first target that has one. Raises InputError if there is no target.
    """
    if not targets:
        raise InputError("no target was compared; name at least one, interpreter or lava")
    by_name: dict[str, list[PopulationParity]] = {}
    for report in targets.values():
        for population in report.populations:
            by_name.setdefault(population.name, []).append(population)
    populations = []
    for same in by_name.values():
        compared, mismatches = sum(p.compared for p in same), sum(p.mismatches for p in same)
        populations.append(replace(same[0], compared=compared, mismatches=mismatches))
    divergences = (
        replace(report.first_divergence, target=name) for name, report in targets.items() if report.first_divergence
    )
    return ParityReport(
        tuple(populations), next(divergences, None), dict(accuracy or {}), dict(versions or {}), dict(targets)
    )
