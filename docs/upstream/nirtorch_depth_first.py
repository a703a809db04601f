"""nirtorch.load runs nodes depth first, so a node that joins two branches runs before the second one.

nirtorch 2.6, nirtorch/graph_utils.py, line 71, `trace_execution`: pre-order, not topological. It is announced
to go, and nir_to_torch takes its place; `norse.torch.from_nir` uses it (Norse 1.1.0, torch/utils/import_nir.py).
Expected: 2 x + 3 x = 5. Found: 3, as one branch has not run yet.
"""

import warnings

import nir
import nirtorch
import numpy as np
import torch

warnings.simplefilter("ignore")  # of nirtorch.load, which is deprecated


def linear(weight: float) -> nir.Linear:
    return nir.Linear(np.array([[weight]], np.float32))


def module_of(node: nir.NIRNode) -> torch.nn.Module | None:
    if not isinstance(node, nir.Linear):
        return None
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data = torch.from_numpy(node.weight)
    return module


graph = nir.NIRGraph(
    {
        "input": nir.Input({"input": np.array([1])}),
        "twice": linear(2),
        "thrice": linear(3),
        "joined": linear(1),
        "output": nir.Output({"output": np.array([1])}),
    },
    [("input", "twice"), ("input", "thrice"), ("twice", "joined"), ("thrice", "joined"), ("joined", "output")],
)
found, _ = nirtorch.load(graph, module_of)(torch.ones(1, 1))
assert found.item() == 5.0, f"expected 5.0, found {found.item()}"
