"""Drawings for the report, as SVG text: rasters of two traces, and the membrane of one neuron on both sides.

Colours come from the page's style sheet, so that they follow its dark and printed versions.
"""

from __future__ import annotations

import math

import numpy as np

from ..parity.explanation import Explanation, NeuronHistory
from .html_text import as_html

NEURONS_SHOWN = 24
CELL = 9  # pixels a neuron and a time step
MARGIN = 34
PLOT_WIDTH, PLOT_HEIGHT = 420, 210
PLOT_LEFT, PLOT_TOP, PLOT_BOTTOM = 58, 22, 40  # the top leaves room for the label of a line there
LABEL_HEIGHT = 14


def raster(reference: np.ndarray, trace: np.ndarray, title: str) -> str:
    """One population [T, B, ...] on both sides, samples side by side; neurons that differ come first.

    A disc is a spike of the reference, a dot in it one of the trace, a cross a value that only one of them has.
    """
    wanted, found = _in_a_row(reference), _in_a_row(trace)
    different = wanted != found
    activity = (wanted != 0).sum(0) + (found != 0).sum(0)
    order = np.lexsort((-activity, -different.sum(0)))
    shown = np.sort(order[:NEURONS_SHOWN])
    steps, samples = reference.shape[:2]
    width, height = MARGIN + CELL * steps * samples + CELL, CELL * len(shown) + 22
    lines = "".join(
        f'<path class="grid" d="M{MARGIN + CELL * steps * sample} 0v{CELL * len(shown)}"/>' for sample in range(samples)
    )
    labels = "".join(
        f'<text x="{MARGIN + CELL * steps * (sample + 0.5):g}" y="{height - 8}" text-anchor="middle">{sample}</text>'
        for sample in range(samples)
    )
    layers = "".join(
        f'<path class="{kind}" d="{_marks(mask[:, shown], cross=kind == "difference")}"/>'
        for kind, mask in (("reference", wanted != 0), ("trace", found != 0), ("difference", different))
        if mask[:, shown].any()
    )
    name = as_html(f"Raster of {title}: {len(shown)} of {wanted.shape[1]} neurons, {samples} samples")
    axis = f'<text x="0" y="{height - 8}">sample</text>'
    return (
        f'<svg class="raster" viewBox="0 0 {width} {height}" style="max-width:{1.5 * width:.0f}px" role="img" '
        f'aria-label="{name}">{lines}{layers}{axis}{labels}</svg>'
    )


def membranes(explanation: Explanation) -> str:
    """The membrane of the first neuron that differs, on both sides, against its threshold, up to the divergence."""
    sides = {"reference": explanation.reference, "target": explanation.target}
    levels = {name: _levels(side) for name, side in sides.items()}
    thresholds = [side.threshold for side in sides.values() if side.threshold is not None]
    thresholds = [threshold for threshold in thresholds if math.isfinite(threshold)]
    values = [value for series in levels.values() for value in series if math.isfinite(value)] + thresholds + [0.0]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    count = len(levels["reference"])

    def across(step: int) -> float:
        return PLOT_LEFT + (PLOT_WIDTH - PLOT_LEFT - 16) * (step + 0.5) / count

    def down(value: float) -> float:
        return PLOT_TOP + (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM) * (high - value) / span

    parts = [f'<path class="grid" d="M{PLOT_LEFT} {down(0):.1f}H{PLOT_WIDTH}"/>']
    for threshold in sorted(set(thresholds)):
        parts.append(f'<path class="threshold" d="M{PLOT_LEFT} {down(threshold):.1f}H{PLOT_WIDTH}"/>')
        parts.append(f'<text x="{PLOT_WIDTH}" y="{down(threshold) - 5:.1f}" text-anchor="end">threshold</text>')
    for level in {low, high} | ({0.0} if min(down(0) - down(high), down(low) - down(0)) > LABEL_HEIGHT else set()):
        parts.append(f'<text x="{PLOT_LEFT - 8}" y="{down(level) + 4:.1f}" text-anchor="end">{level:g}</text>')
    for step in range(count):
        parts.append(f'<text x="{across(step):.1f}" y="{PLOT_HEIGHT - 20}" text-anchor="middle">{step}</text>')
    parts.append(f'<text x="{PLOT_WIDTH / 2}" y="{PLOT_HEIGHT - 4}" text-anchor="middle">time step</text>')
    for name, series in levels.items():
        finite = [(step, value) for step, value in enumerate(series) if math.isfinite(value)]
        points = " ".join(f"{across(step):.1f},{down(value):.1f}" for step, value in finite)
        parts.append(f'<polyline class="line {name}" points="{points}"/>')
        for step, value in finite:
            fired = " fired" if sides[name].emitted[step] else ""
            radius = 6 if name == "reference" else 3.5
            parts.append(f'<circle class="{name}{fired}" cx="{across(step):.1f}" cy="{down(value):.1f}" r="{radius}"/>')
    return (
        f'<svg class="plot" viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" role="img" '
        f'aria-label="Membrane against threshold on both sides">{"".join(parts)}</svg>'
    )


def _levels(side: NeuronHistory) -> tuple[float, ...]:
    return side.membrane or side.current


def _in_a_row(spikes: np.ndarray) -> np.ndarray:
    """[T, B, ...] -> [B * T, neurons], sample after sample."""
    return spikes.swapaxes(0, 1).reshape(spikes.shape[0] * spikes.shape[1], -1)


def _marks(mask: np.ndarray, cross: bool) -> str:
    """Where a mask [steps, neurons] is set: round ends of lines without length, or crosses."""
    shape = "m-3-3l6 6m0-6l-6 6" if cross else "h0"
    return "".join(
        f"M{MARGIN + CELL * step + CELL / 2:g} {CELL * neuron + CELL / 2:g}{shape}"
        for step, neuron in np.argwhere(mask).tolist()
    )
