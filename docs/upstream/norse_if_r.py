"""Norse ignores the r of an IF, and the time step with it.

Norse 1.1.0, norse/torch/utils/import_nir.py, line 93, `_import_norse_module`: a warning is logged and r is dropped;
norse/torch/functional/iaf.py adds the input as it is. An IF is read right only if r = 1 / dt.
Expected: v = dt * r * I = 1e-4 * 1 * 2 is below the threshold of 1, no spike. Found: one.
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
        "if": nir.IF(every(1), every(1), every(0)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "if"), ("if", "output")],
)
found, _ = norse.from_nir(graph, dt=1e-4)(torch.full((1, 1), 2.0))
assert found.item() == 0.0, f"expected no spike, 0.0, found {found.item()}"
