"""The interpreter behind the interface that all targets share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...progress import Progress
from ..interface import Target, Trace, check_options

if TYPE_CHECKING:
    import nir
    import numpy as np


class InterpreterTarget(Target):
    """`interpret`, or with floating_point `interpret_float`."""

    name = "interpreter"
    title = "Interpreter"
    description = "NIR in NumPy, exact integers: the definition that every target is held against"
    options = {  # noqa: RUF012 - a constant
        "fused": "run marked nested graphs as one operation (default), or execute their gates",
        "chip": "whose number formats hold (default: Loihi 2)",
        "floating_point": "any weights, in float64",
    }
    packages = ("nir", "numpy")

    def available(self) -> None:
        """Everywhere."""

    def check(self, graph: nir.NIRGraph, **options: Any) -> None:
        """Raise GraphError or RangeError for a graph that cannot be run."""
        from ...graph.flatten import flatten
        from ...graph.numbers import check_numbers

        check_options(self, options)
        flat = flatten(graph, **{"fused": True, **options})
        if not options.get("floating_point"):
            check_numbers(flat)

    def describe(self, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
        """Which nested graphs run as one operation."""
        from ...graph.flatten import flatten

        return {"fused": list(flatten(graph, **{"fused": True, **options}).operations)}

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
        from .floating_point import interpret_float
        from .sequence import interpret

        check_options(self, options)
        if options.pop("floating_point", False):
            return interpret_float(graph, inputs, progress=progress, into=into)
        return interpret(graph, inputs, progress=progress, into=into, **options)


TARGET = InterpreterTarget()
