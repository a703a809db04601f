"""Norse as a witness, its modules wired by nirtorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .witness.target import WitnessTarget

if TYPE_CHECKING:
    import nir


class NorseTarget(WitnessTarget):
    """LIFs become LIFBoxCell, which ignores r: the profile writes r = 1 (norse 1.1.0, torch/utils/import_nir.py:125).

    IFs become IAFCell, which adds its input whatever r and the time step: so does ours, whose gain is 1.
    """

    name = "norse"
    title = "Norse"
    description = "Norse's own modules for NIR, in float32"
    package = "norse"
    tested = "1.1.0"
    packages = ("norse", "nirtorch")

    def load(self, graph: nir.NIRGraph) -> Any:
        """The tool's modules; its own `from_nir` (nirtorch.load) runs them depth first, not in order of execution."""
        import nir
        import nirtorch
        from norse.torch.utils.import_nir import _import_norse_module

        from ..graph.neuron import TIME_STEP

        def module_of(node: nir.NIRNode) -> Any:
            return _import_norse_module(node, dt=TIME_STEP)

        kinds = (nir.Conv2d, nir.Affine, nir.Linear, nir.SumPool2d, nir.LIF, nir.IF)
        return nirtorch.nir_to_torch(graph, dict.fromkeys(kinds, module_of))


TARGET = NorseTarget()
