"""snnTorch reads an IF, which loses nothing, as a neuron that keeps 0.9 of its membrane.

snnTorch 1.0.0, snntorch/import_nir.py, line 235, `_nir_to_snntorch_module`: `snn.Leaky(beta=0.9, ...)`.
Expected: beta = 1. Found: 0.9. (It also asks for r = 1, and then adds the whole input at a step, not dt of it.)
"""

import contextlib
import io

import nir
import numpy as np
from snntorch.import_nir import import_from_nir


def every(value: float) -> np.ndarray:
    return np.full(1, value, np.float32)


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "neuron": nir.IF(every(1), every(1), every(0)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "neuron"), ("neuron", "output")],
)
with contextlib.redirect_stdout(io.StringIO()):
    found = float(import_from_nir(graph).neuron.beta)
assert found == 1.0, f"expected 1.0, found {found:g}"
