"""Schedule -> Lava processes. Images are (height, width, channels) here, Lava's own order; vectors are flat.

Imported only in the worker process, after `prepare_lava`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy import sparse

from ...chip.arithmetic import weight_exponent
from ...graph.bounds import uncertified_populations
from ...graph.flat import FlatGraph, at_rest
from ...graph.numbers import integer_neuron
from ...graph.operations import Operation
from ...graph.schedule import Connection, Schedule
from ...graph.synapse import Convolution, Elementwise, WindowSum
from .population import lava_order, lava_shape, population_process
from .processes.guard import Guard
from .processes.operation import OperationProcess
from .processes.recorder import Recorder
from .processes.returning import Returning
from .records import record_path, record_type

GRADED_BITS = 24  # message width of counts; a spike's message has none


def build(
    graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, folder: Path, floating_point: bool = False
) -> dict[str, Any]:
    """Connected Lava processes by name: every population, synapse ("source -> target") and recorder.

    frames: [steps, *input shape], one frame a time step. time_steps: T, the length of an image's window.
    folder: where each neuron population and output is recorded (records.py), [images * T, ...].
    floating_point: numbers are not Loihi's.
    """
    resting = at_rest(graph)
    processes: dict[str, Any] = {}
    for population in plan.populations.values():
        processes[population.name] = population_process(
            graph, plan, population, frames, time_steps, resting, floating_point
        )
    guards = {} if floating_point else _guards(graph, plan, frames, time_steps, resting)
    for connection in plan.connections:
        _connect(plan, connection, time_steps, processes, guards, floating_point)
    for name in plan.recorded:
        population = plan.populations[name]
        recorder = Recorder(
            shape=lava_shape(population.shape),
            file=str(record_path(folder, plan, name)),
            first_step=1 + population.depth,
            steps=len(frames) - plan.depth,
            dtype=record_type(plan, name, floating_point),
        )
        processes[name].s_out.connect(recorder.a_in)
        processes[_own_key(processes, f"{name} recorder")] = recorder
    for name, guard in guards.items():
        processes[_own_key(processes, f"{name} guard")] = guard
    return processes


def _guards(
    graph: FlatGraph, plan: Schedule, frames: np.ndarray, time_steps: int, resting: dict[str, np.ndarray]
) -> dict[str, Guard]:
    """A guard for each population that no bound certifies for these inputs."""
    guards = {}
    for name in uncertified_populations(graph, plan, (float(frames.min()), float(frames.max())), time_steps):
        population = plan.populations[name]
        watched: dict[str, Any] = {"population": name, "chip": plan.chip}
        if population.has_membrane:
            bias = np.rint(resting[name] * plan.chip.fraction).astype(np.int64)
            watched |= {"neuron": integer_neuron(graph, name).each(lava_order), "bias": lava_order(bias)}
            watched |= {"reset": (time_steps, population.reset_offset(time_steps))}
        guards[name] = Guard(shape=lava_shape(population.shape), **watched)
    return guards


def _own_key(processes: Collection[str], key: str) -> str:
    """A key that no process has: a source may count twice, and a population may be called anything."""
    while key in processes:
        key += "'"
    return key


def _connect(
    plan: Schedule,
    connection: Connection,
    time_steps: int,
    processes: dict[str, Any],
    guards: dict[str, Guard],
    floating_point: bool,
) -> None:
    source, target = plan.populations[connection.source], plan.populations[connection.target]
    graded = 0 if source.kind == "neuron" else GRADED_BITS
    synapse = plan.synapses[connection.synapse] if connection.synapse else None
    entry_shape = exit_shape = source.shape
    if synapse is None:
        process = _elementwise(plan, np.ones(int(np.prod(source.shape))), connection.delay, graded, floating_point)
    elif isinstance(synapse, Elementwise):
        process = _elementwise(plan, synapse.scale.reshape(-1), connection.delay, graded, floating_point)
    elif isinstance(synapse, Operation):
        process = OperationProcess(operation=synapse)
        entry_shape, exit_shape = synapse.input_shape, synapse.output_shape
    else:
        convolution = _as_convolution(synapse)
        process = _convolution(convolution, graded, floating_point)
        entry_shape, exit_shape = convolution.in_shape, convolution.out_shape
    key = f"{connection.source} -> {connection.target} ({connection.synapse or 'identity'})"
    processes[_own_key(processes, key)] = process
    sends = _flat(processes[source.name].s_out, source.shape)
    gives = process.a_out
    if isinstance(process, Conv):
        _shaped(sends, entry_shape).connect(process.s_in)
        gives = _flat(gives, exit_shape)
    else:
        sends.connect(process.s_in)
    if connection.is_feedback:
        reset = (time_steps, target.reset_offset(time_steps))
        returning = Returning(size=int(np.prod(target.shape)), reset=reset)
        processes[_own_key(processes, f"{key} (returning)")] = returning
        gives.connect(returning.s_in)
        gives = returning.a_out
    _shaped(gives, target.shape).connect(processes[target.name].a_in)
    if target.name in guards:
        _shaped(gives, target.shape).connect(guards[target.name].a_in)


def _flat(port: Any, shape: tuple[int, ...]) -> Any:
    """A port in Lava's order as a vector in NIR's order [C, H, W]."""
    if len(shape) == 3:
        port = port.transpose([2, 0, 1])
    return port if len(shape) == 1 else port.flatten()


def _shaped(port: Any, shape: tuple[int, ...]) -> Any:
    """A vector in NIR's order as a port of this shape in Lava's order."""
    if len(shape) == 1:
        return port
    port = port.reshape(shape)
    return port.transpose([1, 2, 0]) if len(shape) == 3 else port


def _elementwise(plan: Schedule, scale: np.ndarray, delay: int, graded: int, floating_point: bool) -> Any:
    """One synapse a neuron: the identity, possibly delayed, or a Scale.

    Lava keeps the 8-bit weights of mixed sign even, so those are doubled and the sum is halved.
    """
    options: dict[str, Any] = {"num_message_bits": graded}
    if floating_point:
        options["weights"] = sparse.diags(scale, format="csr", dtype=float)
    else:
        scale = scale.astype(np.int64)
        exponent, mixed = weight_exponent(scale, plan.chip), int(scale.min() < 0 < scale.max())
        options["weights"] = sparse.diags(scale >> exponent << mixed, format="csr", dtype=np.int32)
        options["weight_exp"] = exponent - mixed
    if not delay:
        return Sparse(**options)
    delays = sparse.diags(np.full(len(scale), delay), format="csr", dtype=int)
    return DelaySparse(delays=delays, max_delay=delay, **options)


def _as_convolution(synapse: Convolution | WindowSum) -> Convolution:
    """A sum over windows is a convolution of ones for each channel."""
    if isinstance(synapse, Convolution):
        return synapse
    channels = synapse.in_shape[0]
    ones = np.ones((channels, 1, *synapse.window.kernel))
    return Convolution(ones, synapse.window, channels, synapse.in_shape, synapse.out_shape)


def _convolution(synapse: Convolution, graded: int, floating_point: bool) -> Conv:
    """Lava convolves in the strict sense, with the kernel reversed."""
    weight = synapse.weight.transpose(0, 2, 3, 1)[:, ::-1, ::-1]
    return Conv(
        weight=np.ascontiguousarray(weight).astype(float if floating_point else np.int32),
        input_shape=lava_shape(synapse.in_shape),
        stride=synapse.window.stride,
        padding=synapse.window.padding,
        dilation=synapse.window.dilation,
        groups=synapse.groups,
        num_message_bits=graded,
    )
