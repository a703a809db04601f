"""Norse ignores the r of a LIF.

Norse 1.1.0, norse/torch/utils/import_nir.py, line 122, `_import_norse_module`: a warning is logged and r is dropped.
Expected: v = dt / tau * r * I = 0.5 * 4 * 1 = 2 exceeds the threshold of 1, a spike. Found: none.
"""

import logging
import warnings

import nir
import norse.torch as norse
import numpy as np
import torch

logging.disable()
warnings.simplefilter("ignore")


def every(value: float) -> np.ndarray:
    return np.full(1, value, np.float32)


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "lif": nir.LIF(every(2e-4), every(4), every(0), every(1), every(0)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "lif"), ("lif", "output")],
)
found, _ = norse.from_nir(graph, dt=1e-4)(torch.ones(1, 1))
assert found.item() == 1.0, f"expected a spike, 1.0, found {found.item()}"
