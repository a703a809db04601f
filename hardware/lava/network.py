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

from ..fixed_point import encode_bias, weight_exponent
from ..fused import Fused
from ..graph import FlatGraph
from ..linear import constants
from ..neuron import TIME_STEP, Neuron
from ..schedule import Connection, Population, Schedule
from ..shapes import conv_geometry, pair
from .partition import bus, partition
from .processes.operation import Operation
from .processes.recorder import Recorder
from .processes.section import SectionProcess
from .section import Section

GRADED_BITS = 24  # message width of counts; a spike's message has none
IMMEDIATE = 4095  # du of a current that lasts one step


def build(graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, folder: Path) -> dict[str, object]:
    """Connected Lava processes by name: every population, synapse ("source -> target") and recorder.

    frames: [steps, *input shape], one frame a time step. time_steps: T, the length of an image's window.
    folder: where each neuron population and output is recorded as NAME.npy, [images * T, ...] in Lava's order.
    """
    at_rest = constants(graph)
    processes: dict[str, object] = {}
    for population in plan.populations.values():
        processes[population.name] = _population(graph, population, frames, time_steps, at_rest)
    for connection in plan.connections:
        _connect(graph, plan, connection, processes)
    window = len(frames) - plan.depth
    for name in plan.recorded:
        population = plan.populations[name]
        recorder = Recorder(
            shape=_lava_shape(population.shape),
            file=str(folder / f"{name}.npy"),
            first_step=1 + population.depth,
            steps=window,
            binary=population.kind == "neuron",
        )
        processes[name].s_out.connect(recorder.a_in)
        processes[f"{name} recorder"] = recorder
    return processes


def build_sections(
    graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, folder: Path, count: int
) -> dict[str, SectionProcess]:
    """The same network as `build`, in `count` Lava processes that each hold a section of it."""
    parts = partition(graph, plan, count)
    crossing = bus(plan, parts)
    places, width = {}, 0
    for name in crossing:
        start, width = width, width + int(np.prod(plan.populations[name].shape))
        places[name] = slice(start, width)
    processes: dict[str, SectionProcess] = {}
    for index, names in enumerate(parts):
        section = Section(graph, plan, names, frames, time_steps, folder)
        times = folder / f"times-{index}.npy"
        np.lib.format.open_memmap(times, mode="w+", dtype=np.float64, shape=(len(frames), 3)).flush()
        process = SectionProcess(
            section=section, places=places, width=max(width, 1), name=f"section {index}", times=str(times)
        )
        for earlier in processes.values():
            earlier.bus_out.connect(process.bus_in)
        processes[process.name] = process
    return processes


def _lava_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _population(graph, population: Population, frames, time_steps, at_rest):
    name, shape = population.name, _lava_shape(population.shape)
    if population.kind == "input":
        data = np.moveaxis(frames, 1, -1) if len(shape) == 3 else frames
        return RingBuffer(data=np.ascontiguousarray(np.moveaxis(data, 0, -1)).astype(np.int32))
    if population.kind != "neuron":
        return GradedVec(shape=shape, vth=0, exp=0)
    decay, threshold = Neuron.from_node(name, graph.nodes[name], TIME_STEP).uniform(name)
    mantissa, exponent = encode_bias(name, at_rest[name])
    return LIFReset(
        shape=shape,
        du=IMMEDIATE,
        dv=decay,
        vth=threshold,
        bias_mant=np.moveaxis(mantissa, 0, -1).copy() if len(shape) == 3 else mantissa,
        bias_exp=exponent,
        reset_interval=time_steps,
        reset_offset=population.reset_offset(time_steps),
    )


def _connect(graph: FlatGraph, plan: Schedule, connection: Connection, processes: dict[str, object]) -> None:
    source, target = plan.populations[connection.source], plan.populations[connection.target]
    graded = 0 if source.kind == "neuron" else GRADED_BITS
    node = graph.nodes.get(connection.synapse)
    if isinstance(node, (type(None), nir.Scale)):
        synapse = _elementwise(node, source.shape, connection.delay, graded)
        entry_shape = exit_shape = source.shape
    elif isinstance(node, Fused):
        synapse, entry_shape, exit_shape = Operation(operation=node), node.input_shape, node.output_shape
    else:
        synapse, entry_shape, exit_shape = _convolution(graph, connection.synapse, node, graded)
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


def _elementwise(node: nir.Scale | None, shape: tuple[int, ...], delay: int, graded: int):
    """One synapse a neuron: the identity, possibly delayed, or a Scale.

    Lava keeps the 8-bit weights of mixed sign even, so those are doubled and the sum is halved.
    """
    count = int(np.prod(shape))
    scale = np.ones(count, np.int64) if node is None else node.scale.astype(np.int64).reshape(-1)
    exponent = weight_exponent(scale)
    mixed = int(scale.min() < 0 < scale.max())
    weights = sparse.diags(scale >> exponent << mixed, format="csr", dtype=np.int32)
    options = {"weights": weights, "weight_exp": exponent - mixed, "num_message_bits": graded}
    if not delay:
        return Sparse(**options)
    delays = sparse.diags(np.full(count, delay), format="csr", dtype=int)
    return DelaySparse(delays=delays, max_delay=delay, **options)


def _convolution(graph: FlatGraph, name: str, node: nir.NIRNode, graded: int):
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
        weight=np.ascontiguousarray(weight.transpose(0, 2, 3, 1)[:, ::-1, ::-1]).astype(np.int32),
        input_shape=_lava_shape(entry_shape),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        num_message_bits=graded,
    )
    return process, entry_shape, exit_shape
