"""Schedule -> Lava processes. Images are (height, width, channels) here, Lava's own order; vectors are flat.

Imported only in the worker process, after `prepare_lava`.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.graded.process import GradedVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy import sparse

from ...chip.fixed_point import encode_bias, weight_exponent
from ...graph.flatten import FlatGraph
from ...graph.fused import Fused
from ...graph.linear import constants
from ...graph.neuron import TIME_STEP, Neuron
from ...graph.schedule import Connection, Population, Schedule
from ...graph.shapes import conv_geometry, pair
from ..floating_point import FloatNeuron
from .processes.operation import Operation
from .processes.recorder import Recorder

GRADED_BITS = 24  # message width of counts; a spike's message has none
IMMEDIATE = 4095  # du of a current that lasts one step


def build(
    graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, folder: Path, floating_point: bool = False
) -> dict[str, object]:
    """Connected Lava processes by name: every population, synapse ("source -> target") and recorder.

    frames: [steps, *input shape], one frame a time step. time_steps: T, the length of an image's window.
    folder: where each neuron population and output is recorded as NAME.npy, [images * T, ...].
    floating_point: numbers are not Loihi's.
    """
    at_rest = constants(graph)
    processes: dict[str, object] = {}
    for population in plan.populations.values():
        processes[population.name] = _population(graph, population, frames, time_steps, at_rest, floating_point)
    for connection in plan.connections:
        _connect(graph, plan, connection, processes, floating_point)
    window = len(frames) - plan.depth
    for name in plan.recorded:
        population = plan.populations[name]
        recorder = Recorder(
            shape=_lava_shape(population.shape),
            file=str(folder / f"{name}.npy"),
            first_step=1 + population.depth,
            steps=window,
            dtype=np.int8 if population.kind == "neuron" else np.float64 if floating_point else np.int32,
        )
        processes[name].s_out.connect(recorder.a_in)
        processes[f"{name} recorder"] = recorder
    return processes


def _lava_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _population(graph, population: Population, frames, time_steps, at_rest, floating_point):
    name, shape = population.name, _lava_shape(population.shape)
    if population.kind == "input":
        data = np.moveaxis(frames, 1, -1) if len(shape) == 3 else frames
        return RingBuffer(
            data=np.ascontiguousarray(np.moveaxis(data, 0, -1)).astype(float if floating_point else np.int32)
        )
    if population.kind != "neuron":
        return GradedVec(shape=shape, vth=0, exp=0)
    node, bias = graph.nodes[name], at_rest[name]
    constants = _float_constants(name, node, bias) if floating_point else _fixed_constants(name, node, bias)
    if len(shape) == 3:
        constants["bias_mant"] = np.moveaxis(constants["bias_mant"], 0, -1).copy()
    return LIFReset(
        shape=shape,
        **constants,
        reset_interval=time_steps,
        reset_offset=population.reset_offset(time_steps),
    )


def _fixed_constants(name: str, node: nir.NIRNode, bias: np.ndarray) -> dict:
    decay, threshold = Neuron.from_node(name, node, TIME_STEP).uniform(name)
    mantissa, exponent = encode_bias(name, bias)
    return {"du": IMMEDIATE, "dv": decay, "vth": threshold, "bias_mant": mantissa, "bias_exp": exponent}


def _float_constants(name: str, node: nir.NIRNode, bias: np.ndarray) -> dict:
    """Lava's membrane takes its input whole: it is v / gain in NIR's terms, and so is the threshold."""
    kept, gain, threshold = FloatNeuron.from_node(name, node, TIME_STEP).uniform(name)
    return {"du": 1.0, "dv": 1.0 - kept, "vth": threshold / gain, "bias_mant": bias.astype(float)}


def _connect(
    graph: FlatGraph, plan: Schedule, connection: Connection, processes: dict[str, object], floating_point: bool
) -> None:
    source, target = plan.populations[connection.source], plan.populations[connection.target]
    graded = 0 if source.kind == "neuron" else GRADED_BITS
    node = graph.nodes.get(connection.synapse)
    if isinstance(node, (type(None), nir.Scale)):
        synapse = _elementwise(node, source.shape, connection.delay, graded, floating_point)
        entry_shape = exit_shape = source.shape
    elif isinstance(node, Fused):
        synapse, entry_shape, exit_shape = Operation(operation=node), node.input_shape, node.output_shape
    else:
        synapse, entry_shape, exit_shape = _convolution(graph, connection.synapse, node, graded, floating_point)
    key = f"{connection.source} -> {connection.target} ({connection.synapse or 'identity'})"
    while key in processes:  # a source may count twice
        key += "'"
    processes[key] = synapse
    sends = _flat(processes[source.name].s_out, source.shape)
    gives = synapse.a_out
    if isinstance(synapse, Conv):
        _shaped(sends, entry_shape).connect(synapse.s_in)
        gives = _flat(gives, exit_shape)
    else:
        sends.connect(synapse.s_in)
    _shaped(gives, target.shape).connect(processes[target.name].a_in)


def _flat(port, shape: tuple[int, ...]):
    """A port in Lava's order as a vector in NIR's order [C, H, W]."""
    return port.transpose([2, 0, 1]).flatten() if len(shape) == 3 else port


def _shaped(port, shape: tuple[int, ...]):
    """A vector in NIR's order as a port of this shape in Lava's order."""
    return port.reshape(shape).transpose([1, 2, 0]) if len(shape) == 3 else port


def _elementwise(node: nir.Scale | None, shape: tuple[int, ...], delay: int, graded: int, floating_point: bool):
    """One synapse a neuron: the identity, possibly delayed, or a Scale.

    Lava keeps the 8-bit weights of mixed sign even, so those are doubled and the sum is halved.
    """
    count = int(np.prod(shape))
    scale = np.ones(count) if node is None else node.scale.reshape(-1)
    options = {"num_message_bits": graded}
    if floating_point:
        options["weights"] = sparse.diags(scale, format="csr", dtype=float)
    else:
        scale = scale.astype(np.int64)
        exponent, mixed = weight_exponent(scale), int(scale.min() < 0 < scale.max())
        options["weights"] = sparse.diags(scale >> exponent << mixed, format="csr", dtype=np.int32)
        options["weight_exp"] = exponent - mixed
    if not delay:
        return Sparse(**options)
    delays = sparse.diags(np.full(count, delay), format="csr", dtype=int)
    return DelaySparse(delays=delays, max_delay=delay, **options)


def _convolution(graph: FlatGraph, name: str, node: nir.NIRNode, graded: int, floating_point: bool):
    """A Conv process, with the shapes (NIR's order) in which its ports are read and written.

    A SumPool2d is a convolution of ones for each channel; a Linear one of 1 x 1 over a single position.
    """
    exit_shape = graph.shapes[name]
    entry_shape = graph.shapes[graph.sources[name][0]]
    stride, padding, dilation, groups = (1, 1), (0, 0), (1, 1), 1
    if isinstance(node, nir.Conv2d):
        weight, groups = node.weight, int(node.groups)
        stride, padding, dilation = conv_geometry(node)
    elif isinstance(node, nir.SumPool2d):
        groups = entry_shape[0]
        weight = np.ones((groups, 1, *pair(node.kernel_size)))
        stride, padding = pair(node.stride), pair(node.padding)
    else:
        weight = node.weight[:, :, None, None]
        entry_shape, exit_shape = (*entry_shape, 1, 1), (*exit_shape, 1, 1)
    process = Conv(  # Lava convolves in the strict sense, with the kernel reversed
        weight=np.ascontiguousarray(weight.transpose(0, 2, 3, 1)[:, ::-1, ::-1]).astype(
            float if floating_point else np.int32
        ),
        input_shape=_lava_shape(entry_shape),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        num_message_bits=graded,
    )
    return process, entry_shape, exit_shape
