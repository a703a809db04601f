"""SpikingJelly refuses a LIF whose time constant is one time step, which forgets at every step.

SpikingJelly 2.0.0, spikingjelly/activation_based/nir_exchange/from_nir.py, line 173, `map_lif`.
Expected: a module (v = I at every step). Found: an error.
"""

import nir
import numpy as np
from spikingjelly.activation_based.nir_exchange import import_from_nir


def every(value: float) -> np.ndarray:
    return np.full(1, value)


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "lif": nir.LIF(every(1e-4), every(1), every(0), every(1), every(0)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "lif"), ("lif", "output")],
)
try:
    import_from_nir(graph, dt=1e-4)
except Exception as error:
    raise AssertionError(f"expected a module, found {error!r}") from error
