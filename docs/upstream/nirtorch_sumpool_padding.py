"""nirtorch drops the padding of a SumPool2d, without a word.

nirtorch 2.6, nirtorch/nir_interpreter.py, line 79, `_default_map_sumpool2d`.
snnTorch 1.0.0 and SpikingJelly 2.0.0 use it.
Expected: a map of [1, 4, 4], as the input is padded by one on every side. Found: [1, 2, 2].
"""

import nir
import nirtorch
import numpy as np
import torch

graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1, 4, 4])}),
        "pool": nir.SumPool2d(np.array([3, 3]), np.array([1, 1]), np.array([1, 1])),
        "output": nir.Output({"output": np.array([1, 4, 4])}),
    },
    [("input", "pool"), ("pool", "output")],
    type_check=False,
)
found, _ = nirtorch.nir_to_torch(graph, {})(torch.ones(1, 1, 4, 4))
assert tuple(found.shape) == (1, 1, 4, 4), f"expected [1, 1, 4, 4], found {list(found.shape)}"
