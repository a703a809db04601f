"""Fixed model -> integer ONNX, by way of its NIR graph: what runs on any CPU without this package."""

from __future__ import annotations

from pathlib import Path

import nir

from hardware.chip import LOIHI_2, Chip
from hardware.targets.interface import require
from hardware.targets.onnx import TARGET, write_onnx

from ..network.fixed_model import FixedModel
from .graph import to_nir


def to_onnx(
    fixed: FixedModel | nir.NIRGraph, path: str | Path, *, populations: bool = False, chip: Chip = LOIHI_2
) -> None:
    """Write the integer network as an ONNX model of standard operators; batch and time steps are free.

    fixed: a fixed model, or an integer graph. Its input takes what `fixed.encode` gives, int8 [T, B, C, H, W]; its
    outputs are "output", the head's sums int32 [T, B, classes], and "logits", float64 [B, classes]. populations: also
    every population's spikes, uint8 [T, B, ...] by name. The metadata says how to encode images. chip: of a graph,
    whose number formats hold; a fixed model has its own.
    Raises NotAvailableError where ONNX is not installed, and what `to_nir` raises.
    """
    require(TARGET)
    graph = fixed if isinstance(fixed, nir.NIRGraph) else to_nir(fixed)
    write_onnx(graph, path, populations=populations, chip=chip if isinstance(fixed, nir.NIRGraph) else fixed.chip)
