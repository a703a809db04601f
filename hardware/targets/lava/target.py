"""Lava behind the interface that all targets share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ...chip import LOIHI_2
from ...progress import Progress
from ..interface import Target, Trace, check_options, require
from .installed import INSTALL, is_installed

if TYPE_CHECKING:
    import nir
    import numpy as np


class LavaTarget(Target):
    """Intel Lava's bit-accurate Loihi models, on this machine's CPU."""

    name = "lava"
    title = "Lava"
    description = "Intel Lava's bit-accurate Loihi models, images streamed back to back"
    options = {  # noqa: RUF012 - a constant
        "sections": "0: Lava's own processes; N: the network in N processes of this package; else by size",
        "stock_models": "Lava's own model of convolutions, too",
        "floating_point": "any weights, in Lava's floating-point models",
        "fused": "run marked nested graphs as one operation (default), or execute their gates",
        "chip": "whose number formats and delays hold (default: Loihi 2)",
    }
    packages = ("lava-nc",)

    def available(self) -> str | None:
        """Linux, with Lava installed."""
        if sys.platform != "linux":
            return f"Lava simulations run on Linux only, not on {sys.platform}"
        return None if is_installed() else INSTALL

    def check(self, graph: nir.NIRGraph, **options: Any) -> None:
        """Raise GraphError or RangeError for a graph that Lava cannot hold."""
        check_options(self, options)
        self.describe(graph, **options)

    def describe(self, graph: nir.NIRGraph, **options: Any) -> dict[str, Any]:
        """sections, 0 for Lava's own processes; processes, of the operating system; depth in steps; fused."""
        from .simulation import checked, process_count, sections_for

        floating_point = bool(options.get("floating_point"))
        lavas_own = floating_point or bool(options.get("stock_models"))
        fused, chip = options.get("fused", True), options.get("chip", LOIHI_2)
        flat, plan = checked(graph, bit_accurate=not floating_point, fused=fused, chip=chip)
        sections = sections_for(plan, options.get("sections"), lavas_own=lavas_own)
        processes = sections or process_count(plan)
        return {"sections": sections, "processes": processes, "depth": plan.depth, "fused": list(flat.operations)}

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
        from .simulation import simulate

        check_options(self, options)
        require(self)
        bit_accurate = not options.pop("floating_point", False)
        return simulate(graph, inputs, bit_accurate=bit_accurate, progress=progress, into=into, **options)


TARGET = LavaTarget()
