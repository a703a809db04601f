"""nirtorch builds a nested graph twice, and fails.

nirtorch 2.6, nirtorch/nir_interpreter.py, line 463, `_construct_fx_graph`: where a node behind it is not there yet, a
nested graph is queued again after it has been replaced by a GraphModule.
Expected: 2 * 3 = 6 with the nodes in any order. Found: an error.
"""

import nir
import nirtorch
import numpy as np
import torch


def linear(weight: float) -> nir.Linear:
    return nir.Linear(np.array([[weight]], np.float32))


def ends() -> tuple[nir.Input, nir.Output]:
    return nir.Input({"input": np.array([1])}), nir.Output({"output": np.array([1])})


first, last = ends()
inner = nir.NIRGraph({"input": first, "scale": linear(3), "output": last}, [("input", "scale"), ("scale", "output")])
first, last = ends()
graph = nir.NIRGraph(
    {"input": first, "nested": inner, "scale": linear(2), "output": last},
    [("input", "scale"), ("scale", "nested"), ("nested", "output")],
)
try:
    found, _ = nirtorch.nir_to_torch(graph, {})(torch.ones(1, 1))
except Exception as error:
    raise AssertionError(f"expected 6.0, found {error!r}") from error
assert found.item() == 6.0, f"expected 6.0, found {found.item()}"
