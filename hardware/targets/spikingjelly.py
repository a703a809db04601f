"""SpikingJelly as a witness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .witness.target import WitnessTarget

if TYPE_CHECKING:
    import nir


class SpikingJellyTarget(WitnessTarget):
    """`spikingjelly.activation_based.nir_exchange.import_from_nir`: LIFs become LIFNode."""

    name = "spikingjelly"
    title = "SpikingJelly"
    description = "SpikingJelly's own import of NIR, in float32"
    package = "spikingjelly"
    tested = "2.0.0"
    packages = ("spikingjelly", "nirtorch")

    def load(self, graph: nir.NIRGraph) -> Any:
        """What the tool makes of a graph."""
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        from ..graph.neuron import TIME_STEP

        return import_from_nir(graph, dt=TIME_STEP)


TARGET = SpikingJellyTarget()
