"""The graph that a lowering should have given: its wiring, with the fixed model's own integers in it.

When PyTorch and the graph differ, this is the reference's side of the explanation, taken from the model's modules and
not from what the lowering made of them.
"""

from __future__ import annotations

import copy

import nir
import numpy as np

from hardware.errors import GraphError
from hardware.graph.neuron import TIME_STEP

from ..lower.graph import threshold_offset
from ..network.fixed_layers import FixedConv, FixedLIF, Readout
from ..network.fixed_model import FixedModel


def reference_graph(fixed: FixedModel, graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph with every weight, bias, decay and threshold that the fixed model's modules hold.

    Raises GraphError where the graph lacks a node that a module is lowered to.
    """
    nodes = dict(graph.nodes)
    for entry in fixed.nodes:
        module = fixed.get_submodule(entry.name)
        name = "head" if isinstance(module, Readout) else entry.name
        if not isinstance(module, (FixedConv, Readout, FixedLIF)):
            continue
        if name not in nodes:
            raise GraphError(f"the graph has no node '{name}', which the fixed model has")
        nodes[name] = copy.copy(nodes[name])
        for field, values in _numbers(module, nodes[name]).items():
            setattr(nodes[name], field, values)
    return nir.NIRGraph(nodes, graph.edges, metadata=graph.metadata, type_check=False)


def _numbers(module: FixedConv | Readout | FixedLIF, node: nir.NIRNode) -> dict[str, np.ndarray]:
    """The fields of a node that a module gives."""
    if isinstance(module, FixedConv):
        return {field: getattr(module, field).cpu().numpy().astype(np.float32) for field in ("weight", "bias")}
    if isinstance(module, Readout):
        weight, bias = (getattr(module, field).cpu().numpy().astype(np.float32) for field in ("weight", "bias"))
        return {"weight": np.broadcast_to(weight[:, :, None, None], node.weight.shape), "bias": bias}
    threshold, tau = module.threshold + threshold_offset(module.chip), 1.0
    numbers = {}
    if module.decay:  # a membrane of resistance 1 holds the sum of inputs divided by tau
        tau = module.chip.decay_unity / module.decay
        numbers = {"tau": tau * TIME_STEP, "r": 1.0}
    numbers["v_threshold"] = threshold / tau
    return {field: np.broadcast_to(np.float64(value), np.shape(node.v_threshold)) for field, value in numbers.items()}
