"""ONNX Runtime behind the interface that all targets share."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ...progress import Progress
from ..interface import Target, Trace, check_options, require

if TYPE_CHECKING:
    import nir
    import numpy as np

    from .session import PreparedNetwork

INSTALL = 'ONNX is not installed: run  uv pip install -e ".[onnx]"  in the project\'s clone'
PACKAGES = ("onnx", "onnxruntime")


class OnnxTarget(Target):
    """The graph as an integer ONNX model, in ONNX Runtime on this machine's CPU."""

    name = "onnx"
    title = "ONNX Runtime"
    description = "an integer ONNX model: uint8 spikes, int8 weights, fast on any CPU"
    options: ClassVar[Mapping[str, str]] = {
        "fused": "run marked nested graphs as one operation (default), or execute their gates",
        "chip": "whose number formats hold (default: Loihi 2)",
        "threads": "how many (default 0: one for each processor)",
    }
    packages = PACKAGES

    def available(self) -> str | None:
        """Wherever onnx and onnxruntime are installed."""
        return None if all(importlib.util.find_spec(package) for package in PACKAGES) else INSTALL

    def check(self, graph: nir.NIRGraph, **options: Any) -> None:
        """Raise GraphError or RangeError for a graph that cannot be run."""
        from .session import PreparedNetwork

        check_options(self, options)
        PreparedNetwork(graph, **options)

    def describe(self, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
        """Which nested graphs run as one operation."""
        from .session import PreparedNetwork

        return {"fused": list(PreparedNetwork(graph, **options).flat.operations)}

    def prepare(self, graph: nir.NIRGraph, *, outputs_only: bool = False, **options: Any) -> PreparedNetwork:
        """A callable for repeated runs: inputs [T, B, *input shape] -> trace. outputs_only: no populations."""
        from .session import PreparedNetwork

        check_options(self, options)
        require(self)
        return PreparedNetwork(graph, outputs_only=outputs_only, **options)

    def run(
        self,
        graph: nir.NIRGraph,
        inputs: np.ndarray,
        *,
        progress: Progress | None = None,
        into: Trace | None = None,
        **options: Any,
    ) -> Trace:
        """The trace of a graph, [T, B, ...] by population."""
        return self.prepare(graph, **options)(inputs, progress, into)


TARGET = OnnxTarget()
