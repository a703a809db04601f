"""snnTorch as a witness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .witness.target import WitnessTarget

if TYPE_CHECKING:
    import nir


class SnnTorchTarget(WitnessTarget):
    """`snntorch.import_nir.import_from_nir`: LIFs become Leaky, and keep their membrane themselves."""

    name = "snntorch"
    title = "snnTorch"
    description = "snnTorch's own import of NIR, in float32"
    package = "snntorch"
    tested = "1.0.0"
    packages = ("snntorch", "nirtorch")
    # An IF is read with a leak of 0.9 (snntorch 1.0.0, import_nir.py, `beta=0.9`).
    reads = tuple(kind for kind in WitnessTarget.reads if kind != "IF")

    def load(self, graph: nir.NIRGraph) -> Any:
        """What the tool makes of a graph."""
        from snntorch.import_nir import import_from_nir

        return import_from_nir(graph)


TARGET = SnnTorchTarget()
