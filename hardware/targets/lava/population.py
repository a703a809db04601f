"""A population as a process of Lava's, or of ours where its neurons differ. Maps are in Lava's order, [H, W, C].

Imported only in the worker process, after `prepare_lava`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.graded.process import GradedVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIFReset

from ...chip.arithmetic import encode_bias
from ...errors import GraphError
from ...graph.flat import FlatGraph
from ...graph.float_neuron import FloatNeuron
from ...graph.neuron import TIME_STEP, distinct
from ...graph.nodes import Readout, Spiking, kind_of
from ...graph.numbers import integer_neuron
from ...graph.schedule import Schedule, ScheduledPopulation
from .processes.delay import Delay
from .processes.neurons import ReadMembrane, VariedLIFReset

IMMEDIATE = 4095  # du of a current that lasts one step


def lava_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape [C, H, W] in Lava's order; any other as it is."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def lava_order(values: np.ndarray) -> np.ndarray:
    """A map of values [C, H, W] in Lava's order; anything else as it is."""
    return np.moveaxis(values, 0, -1).copy() if values.ndim == 3 else values


def population_process(
    graph: FlatGraph,
    plan: Schedule,
    population: ScheduledPopulation,
    frames: np.ndarray,
    time_steps: int,
    resting: dict[str, np.ndarray],
    floating_point: bool,
) -> Any:
    """Lava's process of a population. frames: [steps, *input shape]; time_steps: T; resting: biases by population."""
    name, shape = population.name, lava_shape(population.shape)
    if population.kind == "input":
        data = np.moveaxis(frames, 1, -1) if len(shape) == 3 else frames
        data = np.ascontiguousarray(np.moveaxis(data, 0, -1))
        return RingBuffer(data=data.astype(float if floating_point else np.int32))
    reset = (time_steps, population.reset_offset(time_steps))
    if name in plan.delays:
        return Delay(steps=lava_order(plan.delays[name]), reset=reset)
    if not population.has_membrane:
        return GradedVec(shape=shape, vth=0, exp=0)
    numbers = _float_numbers if floating_point else _integer_numbers
    constants = {field: lava_order(np.asarray(n)) for field, n in numbers(graph, name, resting[name]).items()}
    if population.kind == "readout":
        gain = lava_order(_float_gain(graph, name)) if floating_point else 1
        return ReadMembrane(shape=shape, gain=gain, reset_interval=reset[0], reset_offset=reset[1], **constants)
    stock = all(constants[field].size == 1 for field in ("du", "dv", "vth")) and constants["du"].min() >= 0
    return (LIFReset if stock else VariedLIFReset)(
        shape=shape,
        **{field: values.item() if values.size == 1 else values for field, values in constants.items()},
        reset_interval=reset[0],
        reset_offset=reset[1],
    )


def _integer_numbers(graph: FlatGraph, name: str, bias: np.ndarray) -> dict[str, Any]:
    """Lava adds 1 to du (its ds_offset), and nothing to dv."""
    neuron = integer_neuron(graph, name)
    mantissa, exponent = encode_bias(name, bias, graph.chip)
    du = IMMEDIATE if neuron.current_decay is None else distinct(neuron.current_decay) - 1
    threshold = distinct(neuron.synaptic_threshold(name)) if neuron.fires else 0
    return {"du": du, "dv": distinct(neuron.decay), "vth": threshold, "bias_mant": mantissa, "bias_exp": exponent}


def _float_numbers(graph: FlatGraph, name: str, bias: np.ndarray) -> dict[str, Any]:
    """Lava's membrane takes its input whole: it is (v - v_reset) / gain in NIR's terms, and so is the threshold."""
    neuron, gain = _float_neuron(graph, name), _float_gain(graph, name)
    drive = neuron.drive - (1.0 - neuron.kept) * neuron.reset
    if neuron.current_kept is not None and np.any(bias):
        raise GraphError(f"{name}: a bias reaches the current of a CubaLIF, for which Lava has no place")
    return {
        "du": 1.0 if neuron.current_kept is None else 1.0 - neuron.current_kept,
        "dv": 1.0 - neuron.kept,
        "vth": (neuron.threshold - neuron.reset) / gain,
        "bias_mant": bias.astype(float) + drive / gain,
    }


def _float_neuron(graph: FlatGraph, name: str) -> FloatNeuron:
    kind = kind_of(graph.nodes[name])
    assert isinstance(kind, (Spiking, Readout))
    return kind.floating(name, graph.nodes[name], TIME_STEP)


def _float_gain(graph: FlatGraph, name: str) -> np.ndarray:
    """What of an input reaches the membrane in the same step."""
    neuron = _float_neuron(graph, name)
    return neuron.gain * (1.0 if neuron.current_gain is None else neuron.current_gain)
