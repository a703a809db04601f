"""snnTorch, and nirtorch by itself, flatten the batch along with what an NIR Flatten means.

snnTorch 1.0.0, snntorch/import_nir.py, line 216; nirtorch 2.6, nirtorch/nir_interpreter.py, line 55:
`torch.nn.Flatten(node.start_dim, ...)`, although NIR counts dimensions without the batch.
Expected: [2, 4] for two samples of [1, 2, 2]. Found: [8].
"""

import contextlib
import io

import nir
import numpy as np
import torch
from snntorch.import_nir import import_from_nir

graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1, 2, 2])}),
        "flatten": nir.Flatten({"input": np.array([1, 2, 2])}, start_dim=0, end_dim=-1),
        "output": nir.Output({"output": np.array([4])}),
    },
    [("input", "flatten"), ("flatten", "output")],
)
with contextlib.redirect_stdout(io.StringIO()):
    found, _ = import_from_nir(graph)(torch.ones(2, 1, 2, 2))
assert tuple(found.shape) == (2, 4), f"expected [2, 4], found {list(found.shape)}"
