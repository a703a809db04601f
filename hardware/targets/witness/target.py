"""What other people's tools share as targets: they import a graph into PyTorch, and are run step by step.

They are witnesses: their arithmetic is floating point and their code is not ours, so spikes that agree with theirs
are evidence of another kind. Every module's output is read where the tool calls it.
"""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from ...progress import Progress
from ..interface import Target, Trace, check_options, require

if TYPE_CHECKING:
    import nir
    import numpy as np

READ_BY_ALL = ("Input", "Output", "Conv2d", "Affine", "Linear", "SumPool2d", "LIF", "IF")  # types of NIR


class WitnessTarget(Target):
    """A tool that imports NIR into PyTorch. tested: the version of its package that its results were compared with."""

    package: ClassVar[str]
    tested: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = READ_BY_ALL

    @abstractmethod
    def load(self, graph: nir.NIRGraph) -> Any:
        """The graph as the tool imports it, at rest: called with a step's input and its state, it gives both anew."""

    def available(self) -> str | None:
        """Wherever the tool is installed."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            return f'{missing[0]} is not installed: run  uv pip install -e ".[witness]"  in the project\'s clone'
        return None

    def check(self, graph: nir.NIRGraph, **options: Any) -> None:
        """Raise GraphError for a graph that the tool does not read."""
        check_options(self, options)
        from .run import prepared

        prepared(self, graph)

    def note(self) -> str | None:
        """A version that was not tested is said."""
        if self.available() or (found := version(self.package)) == self.tested:
            return None
        return f"{self.title} {found} is installed; the version tested is {self.tested}"

    def describe(self, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
        """Nothing is fused."""
        return {"fused": []} | ({"note": note} if (note := self.note()) else {})

    def run(
        self,
        graph: nir.NIRGraph,
        inputs: np.ndarray,
        *,
        progress: Progress | None = None,
        into: Trace | None = None,
        **options: Any,
    ) -> Trace:
        """The trace of a graph, [T, B, ...] by population, in the order of execution."""
        from .run import run_witness

        check_options(self, options)
        require(self)
        return run_witness(self, graph, inputs, progress, into)
