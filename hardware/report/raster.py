"""Spikes of two traces over one another, as a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..files import write_atomically

NEURONS_SHOWN = 24
REFERENCE_COLOUR, TARGET_COLOUR, DIFFERENCE_COLOUR = "#9db8d9", "#16325c", "#d62728"


def draw_raster(
    reference: Mapping[str, np.ndarray],
    trace: Mapping[str, np.ndarray],
    path: str | Path,
    populations: Sequence[str],
    *,
    names: tuple[str, str] = ("PyTorch", "Lava"),
) -> None:
    """Write a PNG: for each population its most active neurons over the time steps of all samples in a row.

    Rings are the reference's spikes, dots the trace's; a dot in every ring, and nowhere else, is parity. What only
    one side has is marked in red.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.7 * len(populations) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(populations), 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, populations, strict=True):
        wanted, found = (_in_a_row(side[name]) for side in (reference, trace))
        shown = np.sort(np.argsort(-wanted.sum(0) - found.sum(0), kind="stable")[:NEURONS_SHOWN])
        wanted, found = wanted[:, shown] != 0, found[:, shown] != 0
        for mask, style in (
            (wanted, {"s": 34, "facecolors": "none", "edgecolors": REFERENCE_COLOUR, "label": names[0]}),
            (found, {"s": 7, "color": TARGET_COLOUR, "label": names[1]}),
            (wanted != found, {"s": 60, "marker": "x", "color": DIFFERENCE_COLOUR, "label": "only one of them"}),
        ):
            panel.scatter(*np.nonzero(mask), linewidths=1.2, **style)
        time_steps, samples = reference[name].shape[:2]
        for boundary in range(time_steps, time_steps * samples, time_steps):
            panel.axvline(boundary - 0.5, color="0.85", linewidth=0.8, zorder=0)
        panel.set_title(f"{name}: the {len(shown)} most active of {reference[name][0, 0].size}", loc="left", fontsize=9)
        panel.set_yticks([])
        panel.set_ylim(-1, len(shown))
    panels[-1].set_xlabel("time step (a line between images)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _in_a_row(spikes: np.ndarray) -> np.ndarray:
    """[T, B, ...] -> [B * T, neurons], sample after sample."""
    return spikes.swapaxes(0, 1).reshape(spikes.shape[0] * spikes.shape[1], -1)
