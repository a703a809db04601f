"""What a network of another tool's graph is lowered to: synapses, neurons of any parameters, and their ways back."""

from __future__ import annotations

import nir
import numpy as np
import torch
from torch import Tensor, nn

from hardware.graph.gates.primitives import GraphBuilder
from hardware.graph.neuron import TIME_STEP

from ..errors import ExportError
from ..network.cells import FixedCell, FloatCell, RecurrentCell
from ..network.layers import Delay, Reshape, WindowSum
from ..network.node_network import OUTPUT, Node, Shapes
from ..network.output import Output
from ..network.synapses import FixedSynapses, Synapses


def lower_synapses(graph: GraphBuilder, node: Node, module: Synapses, shapes: Shapes) -> None:
    """The node that the form of the weights is in NIR."""
    _add_synapses(graph, node.name, module, shapes[node.arguments[0][0]], *node.arguments[0])


def _add_synapses(graph: GraphBuilder, name: str, module: Synapses, shape: tuple[int, ...], *sources: str) -> None:
    kind = np.float32 if isinstance(module, FixedSynapses) else np.float64
    weight, bias = (values.cpu().numpy().astype(kind) for values in (module.weight, module.bias))
    graph.add(name, module.form.node(weight, bias, shape), *sources)


def lower_fixed_cell(graph: GraphBuilder, node: Node, module: FixedCell, shapes: Shapes) -> None:
    """An IF, LIF or CubaLIF of gain 1, its threshold raised by half of the membrane's resolution."""
    shape, chip = shapes[node.name], module.chip

    def parameter(values: Tensor | float) -> np.ndarray:
        return np.broadcast_to(np.asarray(torch.as_tensor(values).cpu().numpy(), np.float32), shape)

    threshold, zero = parameter(module.threshold.double() + 0.5 / chip.fraction), parameter(0.0)
    if not module.decay.any() and not module.has_current:
        graph.add(
            node.name, nir.IF(r=parameter(1 / TIME_STEP), v_threshold=threshold, v_reset=zero), *node.arguments[0]
        )
        return
    # NIR has no membrane that leaks nothing beside one that does; one that forgets 2^-40 a step comes to the same.
    tau = chip.decay_unity / module.decay.double().clamp(min=2.0**-28)
    membrane = {"v_leak": zero, "v_reset": zero, "v_threshold": threshold}
    if not module.has_current:
        neuron = nir.LIF(tau=parameter(tau * TIME_STEP), r=parameter(tau), **membrane)
    else:
        lasting = chip.decay_unity / module.current_decay.double()
        neuron = nir.CubaLIF(
            tau_syn=parameter(lasting * TIME_STEP),
            tau_mem=parameter(tau * TIME_STEP),
            r=parameter(tau),
            w_in=parameter(lasting),
            **membrane,
        )
    graph.add(node.name, neuron, *node.arguments[0])


def lower_float_cell(graph: GraphBuilder, node: Node, module: FloatCell, shapes: Shapes) -> None:
    """The same, measured from the reset; what is only read has no node among those that are written."""
    shape = shapes[node.name]
    if module.threshold is None:
        raise ExportError(f"{node.name}: a membrane that is read and never fires cannot be written")

    def parameter(values: Tensor) -> np.ndarray:
        return np.broadcast_to(values.cpu().numpy(), shape)

    rate = (1.0 - module.kept).clamp(min=2.0**-40)
    tau = TIME_STEP / rate
    membrane = {
        "v_leak": parameter(module.drive / rate),
        "v_reset": parameter(torch.zeros_like(module.drive)),
        "v_threshold": parameter(module.threshold),
    }
    if module.current_kept is None or module.current_gain is None:
        if not (module.kept < 1.0).any() and not module.drive.any():
            del membrane["v_leak"]
            graph.add(node.name, nir.IF(r=parameter(module.gain / TIME_STEP), **membrane), *node.arguments[0])
            return
        neuron = nir.LIF(tau=parameter(tau), r=parameter(module.gain / rate), **membrane)
    else:
        current_rate = 1.0 - module.current_kept
        neuron = nir.CubaLIF(
            tau_syn=parameter(TIME_STEP / current_rate),
            tau_mem=parameter(tau),
            r=parameter(module.gain / rate),
            w_in=parameter(module.current_gain / current_rate),
            **membrane,
        )
    graph.add(node.name, neuron, *node.arguments[0])


def lower_recurrent_cell(graph: GraphBuilder, node: Node, module: RecurrentCell, shapes: Shapes) -> None:
    """The neuron, and the nodes of each way from it back to it."""
    lower = lower_fixed_cell if isinstance(module.cell, FixedCell) else lower_float_cell
    lower(graph, node, module.cell, shapes)  # type: ignore[arg-type]  # one or the other
    for names, way in zip(module.names, module.ways, strict=True):
        source, shape = node.name, shapes[node.name]
        for name, step in zip(names, way, strict=True):  # type: ignore[call-overload]
            _add_step(graph, name, step, shape, source)
            shape = tuple(step(torch.zeros(1, 1, *shape, dtype=_type_of(step))).shape[2:])
            source = name
        graph.edges.append((source, node.name))


def _type_of(module: nn.Module) -> torch.dtype:
    return torch.float32 if isinstance(module, FixedSynapses) else torch.float64


def _add_step(graph: GraphBuilder, name: str, module: nn.Module, shape: tuple[int, ...], source: str) -> None:
    if isinstance(module, Synapses):
        _add_synapses(graph, name, module, shape, source)
    elif isinstance(module, Reshape):
        _add_flatten(graph, name, module, shape, source)
    else:
        raise ExportError(f"{name}: a {type(module).__name__} on a cycle has no lowering to NIR")


def lower_window_sum(graph: GraphBuilder, node: Node, module: WindowSum, shapes: Shapes) -> None:
    """A SumPool2d, or of an average an AvgPool2d."""
    kind = nir.SumPool2d if module.share == 1.0 else nir.AvgPool2d
    window = (np.array(size) for size in (module.kernel, module.stride, module.padding))
    graph.add(node.name, kind(*window), *node.arguments[0])


def lower_reshape(graph: GraphBuilder, node: Node, module: Reshape, shapes: Shapes) -> None:
    """A Flatten."""
    _add_flatten(graph, node.name, module, shapes[node.arguments[0][0]], *node.arguments[0])


def _add_flatten(graph: GraphBuilder, name: str, module: Reshape, shape: tuple[int, ...], *sources: str) -> None:
    start = next(
        (i for i, (a, b) in enumerate(zip(shape, module.shape, strict=False)) if a != b), len(module.shape) - 1
    )
    end = start + len(shape) - len(module.shape)
    graph.add(name, nir.Flatten({"input": np.array(shape)}, start_dim=start, end_dim=end), *sources)


def lower_delay(graph: GraphBuilder, node: Node, module: Delay, shapes: Shapes) -> None:
    """A Delay, in seconds."""
    steps = np.broadcast_to(module.steps.cpu().numpy(), shapes[node.name])
    graph.add(node.name, nir.Delay(steps * TIME_STEP), *node.arguments[0])


def lower_output(graph: GraphBuilder, node: Node, module: Output, shapes: Shapes) -> None:
    """The Output."""
    graph.add(OUTPUT, nir.Output({"output": np.array(shapes[node.name])}), *node.arguments[0])
