"""Norse ignores the v_reset of a LIF.

Norse 1.1.0, norse/torch/utils/import_nir.py, line 126, `LIFBoxParameters(...)` is not given it.
Expected: the membrane after a spike is v_reset = -3. Found: 0.
"""

import warnings

import nir
import norse.torch as norse
import numpy as np
import torch

warnings.simplefilter("ignore")


def every(value: float) -> np.ndarray:
    return np.full(1, value, np.float32)


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "lif": nir.LIF(every(2e-4), every(1), every(0), every(1), every(-3)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "lif"), ("lif", "output")],
)
spike, after = norse.from_nir(graph, dt=1e-4)(torch.full((1, 1), 4.0))
assert spike.item() == 1.0
((state,),) = after.state.values()
found = state.v.item()
assert found == -3.0, f"expected -3.0, found {found}"
