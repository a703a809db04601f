"""nirtorch gives every node that leads to an Output by itself, and not their sum.

nirtorch 2.6, nirtorch/nir_interpreter.py, line 447, `_construct_fx_graph`.
Elsewhere several edges into one node are summed, as NIR means them.
Expected: one output, 2 x + 3 x = 5. Found: 2 and 3.
"""

import nir
import nirtorch
import numpy as np
import torch

graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "twice": nir.Linear(np.array([[2.0]], np.float32)),
        "thrice": nir.Linear(np.array([[3.0]], np.float32)),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "twice"), ("input", "thrice"), ("twice", "output"), ("thrice", "output")],
)
*found, _ = nirtorch.nir_to_torch(graph, {})(torch.ones(1, 1))
assert [value.item() for value in found] == [5.0], f"expected [5.0], found {[value.item() for value in found]}"
