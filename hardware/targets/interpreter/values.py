"""What enters, passes and leaves the nodes of an integer network, each held against the chip's formats."""

from __future__ import annotations

import numpy as np

from ...chip.arithmetic import check_below_limit, check_integer, check_message, encode_bias
from ...chip.chip import Chip
from ...errors import GraphError, RangeError
from ...graph.flat import FlatGraph
from ...graph.nodes import Memoryless, kind_of

OUTPUT_TYPE = np.int32


def pass_on(flat: FlatGraph, name: str, total: np.ndarray) -> np.ndarray:
    """What a node without memory gives for the sum that arrives, [T, B, ...]; both must fit a message."""
    node = flat.nodes[name]
    kind = kind_of(node)
    assert isinstance(kind, Memoryless)
    check_message(name, "sum of messages", total, flat.chip)
    kind.check_inputs(name, node, total)
    out = kind.apply(node, total.reshape(-1, *total.shape[2:]))
    check_message(name, "sum", out, flat.chip)
    given: np.ndarray = out.reshape(*total.shape[:2], *out.shape[1:]) + kind.bias(node)
    return given


def arriving_sums(flat: FlatGraph, name: str, total: np.ndarray, resting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What drives a population, in units of the membrane: sums of W x [T, B, ...], and the bias [...].

    total: both together; resting: what arrives without any spike.
    """
    sums, bias = _current(name, total, flat.chip), _current(name, resting, flat.chip)
    encode_bias(name, resting, flat.chip)
    sums -= bias
    check_below_limit(name, "sum of inputs", sums, flat.chip)
    return sums, bias


def shown(name: str, total: np.ndarray) -> np.ndarray:
    """What an Output shows: int32, checked."""
    check_integer(name, "output", total)
    limits = np.iinfo(OUTPUT_TYPE)
    if total.size and not (total.min() >= limits.min and total.max() <= limits.max):
        worst = total.reshape(-1)[np.abs(total).argmax()]
        raise RangeError(f"{name}: output {worst:g} is outside {limits.min} .. {limits.max}; use a smaller bias")
    return total.astype(OUTPUT_TYPE)


def check_inputs(flat: FlatGraph, inputs: np.ndarray, *, floating_point: bool = False) -> np.ndarray:
    """Inputs as an array of integers (or any numbers) [T, B, ...] that fits the graph, or GraphError / RangeError."""
    inputs = np.asarray(inputs)
    name, shape = flat.input_name, flat.shapes[flat.input_name]
    if inputs.shape[2:] != shape or inputs.ndim != len(shape) + 2:
        raise GraphError(f"inputs have the shape {inputs.shape}; '{name}' needs [T, B, {', '.join(map(str, shape))}]")
    if not (np.issubdtype(inputs.dtype, np.number) or inputs.dtype == bool):
        raise GraphError(f"inputs are of type {inputs.dtype}; '{name}' needs integers")
    if np.issubdtype(inputs.dtype, np.complexfloating):
        raise GraphError(f"inputs are of type {inputs.dtype}; '{name}' needs real values")
    if 0 in inputs.shape[:2]:
        raise GraphError(f"inputs have the shape {inputs.shape}; at least one time step and one sample are needed")
    if not floating_point:
        check_integer(name, "value", inputs)
    check_message(name, "value", inputs, flat.chip)
    return inputs


def _current(name: str, total: np.ndarray, chip: Chip) -> np.ndarray:
    """Input currents in units of the membrane; averages of pools may be fractions, but not finer ones."""
    current = total * chip.fraction
    rounded = np.rint(current)
    if not np.array_equal(current, rounded):
        worst = total[current != rounded].reshape(-1)[0]
        raise RangeError(f"{name}: input {worst:g} is not a multiple of 1/{chip.fraction}; use SumPool2d for AvgPool2d")
    whole: np.ndarray = rounded.astype(np.int64)
    return whole
