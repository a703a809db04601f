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
    """An IF, LIF or CubaLIF of gain 1, its threshold raised by half a unit; if it never fires, an I, LI, CubaLI."""
    unity, one, zero = module.chip.decay_unity, torch.ones(()), torch.zeros(())
    threshold = None if module.threshold is None else module.threshold.double() + 0.5 / module.chip.fraction
    current = (module.current_decay.double() / unity, one) if module.has_current else None
    neuron = _neuron(shapes[node.name], np.float32, module.decay.double() / unity, one, zero, threshold, current)
    graph.add(node.name, neuron, *node.arguments[0])


def lower_float_cell(graph: GraphBuilder, node: Node, module: FloatCell, shapes: Shapes) -> None:
    """The same in its own numbers, measured from the reset."""
    if not module.fires and module.reset is not None and module.reset.any():
        raise ExportError(f"{node.name}: a membrane that is read is written only where its v_leak is 0")
    current = None
    if module.current_kept is not None and module.current_gain is not None:
        current = (1.0 - module.current_kept, module.current_gain)
    numbers = (1.0 - module.kept, module.gain, module.drive, module.threshold, current)
    graph.add(node.name, _neuron(shapes[node.name], np.float64, *numbers), *node.arguments[0])


def _neuron(
    shape: tuple[int, ...],
    kind: type,
    rate: Tensor,
    gain: Tensor,
    drive: Tensor,
    threshold: Tensor | None,
    current: tuple[Tensor, Tensor] | None,
) -> nir.NIRNode:
    """The node whose membrane loses `rate` at a step and gets gain * I + drive; without a threshold it is read.

    current: what a step takes from I, and what of the input reaches it.
    """

    def parameter(values: Tensor) -> np.ndarray:
        return np.broadcast_to(values.cpu().numpy().astype(kind), shape)

    fired = {} if threshold is None else {"v_threshold": parameter(threshold), "v_reset": parameter(torch.zeros(()))}
    if not rate.any() and not drive.any() and current is None:
        r = parameter(gain / TIME_STEP)
        return nir.IF(r=r, **fired) if fired else nir.I(r=r)
    # NIR has no membrane that leaks nothing beside one that does; one that forgets 2^-40 a step comes to the same.
    rate = rate.clamp(min=2.0**-40)
    membrane = {"r": parameter(gain / rate), "v_leak": parameter(drive / rate), **fired}
    tau = parameter(TIME_STEP / rate)
    if current is None:
        return nir.LIF(tau=tau, **membrane) if fired else nir.LI(tau=tau, **membrane)
    lost, reaching = current
    membrane |= {"tau_mem": tau, "tau_syn": parameter(TIME_STEP / lost), "w_in": parameter(reaching / lost)}
    return nir.CubaLIF(**membrane) if fired else nir.CubaLI(**membrane)


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
