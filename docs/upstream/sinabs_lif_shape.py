"""sinabs refuses a LIF whose parameters are not one-dimensional, as behind a convolution.

sinabs 3.1.3, sinabs/nir.py, line 97: `any(node.v_leak) != 0`, where `(node.v_leak != 0).any()` is meant.
Expected: a module for neurons of shape [1, 2, 2]. Found: "The truth value of an array ... is ambiguous".
"""

import nir
import numpy as np
import sinabs.nir


def every(value: float) -> np.ndarray:
    return np.full((1, 2, 2), value, np.float32)


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1, 2, 2])}),
        "lif": nir.LIF(every(2), every(1), every(0), every(1), every(0)),
        "output": nir.Output({"output": np.array([1, 2, 2])}),
    },
    [("input", "lif"), ("lif", "output")],
)
try:
    sinabs.nir.from_nir(graph, batch_size=1)
except Exception as error:
    raise AssertionError(f"expected a module, found {error!r}") from error
