"""Neurons: gates at once for all time steps, what has a membrane as a Scan over them.

    membrane <- toward_zero(membrane * (decay_unity - decay) / decay_unity) + sum + bias, to the chip's fraction
    spike iff membrane > threshold (strict);  membrane <- 0 on a spike

In float32, where each number here is exact: membranes have 24 bits. Where they are alike and lose half or nothing,
which is nearly everywhere, a step is five passes over the population; else float64 does what the equation says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ...graph.neuron import IntegerNeuron
from ...graph.windows import Shape
from .arithmetic import cast, converted, per_neuron, require
from .builder import OnnxBuilder, Port
from .stepped import SteppedNeuron
from .value import FLOAT32, FLOAT64, FLOATS, INT32, UINT8, DType, Value, first_that_holds

Step = Callable[[str, str], tuple[str, str, str]]  # state, arriving -> membrane, what the reset leaves, where it fired

BOOL: DType = np.dtype(bool)
FLOAT32_BITS = 23  # of the mantissa: floats in 2^n .. 2^(n + 1) are multiples of 2^(n - 23)
BELOW_HALF = np.float32(0.5 - 2.0**-25)  # the float32 before a half


def fire(builder: OnnxBuilder, x: Value, neuron: IntegerNeuron, bias: np.ndarray, shape: Shape) -> Value:
    """The spikes of a population, uint8, for the sums that arrive; the membrane of one that never fires, int32.

    bias: what arrives without any spike, in its shape.
    """
    limit = neuron.chip.sum_limit - 1 / neuron.chip.fraction
    require(builder, x, -limit, limit, np.zeros(1), (1,))
    if neuron.keeps_current or not neuron.fires:
        return SteppedNeuron(builder, neuron, bias, shape).run([(x, shape)])
    tensor = _gate(builder, x, neuron, bias, shape) if neuron.forgets else _scan(builder, x, neuron, bias, shape)
    return Value(tensor, UINT8, 0.0, 1.0)


def _gate(builder: OnnxBuilder, x: Value, neuron: IntegerNeuron, bias: np.ndarray, shape: Shape) -> str:
    """Where the sum exceeds the threshold without the bias."""
    level = neuron.threshold / neuron.chip.fraction - bias
    level = level if x.fraction else np.floor(level)
    low, high = float(level.min()), float(level.max())
    fraction = max(x.fraction, neuron.chip.fraction_bits) if x.fraction else 0
    kinds = (UINT8, INT32) if x.dtype == UINT8 else (x.dtype,) if x.dtype in FLOATS else (INT32,)
    dtype = first_that_holds(kinds, min(low, x.low), max(high, x.high), fraction)
    levels = builder.constant(per_neuron(level, shape), dtype)
    return cast(builder, builder.op("Greater", converted(builder, x, dtype).tensor, levels), UINT8)


def _scan(builder: OnnxBuilder, x: Value, neuron: IntegerNeuron, bias: np.ndarray, shape: Shape) -> str:
    """The membrane from time step to time step."""
    chip, inner = neuron.chip, (*shape[1:], *shape[:1]) if len(shape) == 3 else shape
    checked = not _stays_below_limit(x, neuron, bias)
    if fast := _is_fast(x, neuron, bias):
        x, step = _fast(builder, x, neuron, bias, shape)
    else:
        step = _general(builder, neuron, bias, shape)
    dtype = FLOAT32 if fast else FLOAT64
    limit = chip.sum_limit * (1 if fast else chip.fraction)

    def body(state: str, arriving: str) -> Sequence[str]:
        membrane, kept, fired = step(state, arriving)
        results = [kept, cast(builder, fired, UINT8)]
        if checked:
            worst = builder.op("ReduceMax", builder.op("Abs", membrane), keepdims=0)
            results.append(builder.op("Less", worst, builder.constant(limit, dtype)))
        return results

    dims: list[int | str] = ["batch", *inner]
    gives: list[Port] = [(dtype, dims), (UINT8, dims), (BOOL, [])]
    graph = builder.subgraph([(dtype, dims), (x.dtype, dims)], gives if checked else gives[:2], body)
    rest = builder.op("ConstantOfShape", builder.op("Shape", x.tensor, start=1), value=builder.zero(dtype))
    _, spikes, *below = builder.ops("Scan", rest, x.tensor, count=2 + checked, num_scan_inputs=1, body=graph)
    for always in below:
        smallest = builder.op("ReduceMin", cast(builder, always, INT32), keepdims=0)
        builder.checks.append(cast(builder, smallest, BOOL))
    return spikes


def _is_fast(x: Value, neuron: IntegerNeuron, bias: np.ndarray) -> bool:
    """Whether all neurons are alike, lose half or nothing, and have float32 for all their numbers."""
    chip, decay = neuron.chip, neuron.decay
    integers = x.fraction == 0 and np.array_equal(bias, np.rint(bias))
    alike = decay.size == neuron.threshold.size == 1 and neuron.threshold.min() >= 0
    narrow = chip.sum_limit * chip.fraction <= 1 << FLOAT32_BITS
    return integers and alike and narrow and int(decay.flat[0]) in (0, chip.decay_unity // 2)


def _fast(builder: OnnxBuilder, x: Value, neuron: IntegerNeuron, bias: np.ndarray, shape: Shape) -> tuple[Value, Step]:
    """The membrane in synaptic units. What arrives is offset by all that can be added beforehand.

    Adding `rounder` rounds to the chip's fraction, since floats of that size have no finer one; and it is slightly
    less than half of the membrane that is rounded, so that a half between two multiples goes toward zero.
    """
    chip, halves = neuron.chip, bool(neuron.decay.flat[0])
    rounder = 1.5 * 2.0 ** (FLOAT32_BITS - chip.fraction_bits) if halves else 0.0
    level = float(neuron.threshold.flat[0]) / chip.fraction
    offset = builder.constant(per_neuron(bias - rounder, shape), FLOAT32)
    x = converted(builder, x, FLOAT32)
    x = replace(x, tensor=builder.op("Add", x.tensor, offset))

    def step(state: str, arriving: str) -> tuple[str, str, str]:
        if halves:
            state = _scaled(builder, state, BELOW_HALF, rounder, shape)
        membrane = builder.op("Add", state, arriving)
        above = builder.op("ThresholdedRelu", membrane, alpha=level)
        return membrane, builder.op("Sub", membrane, above), cast(builder, above, BOOL)

    return x, step


def _scaled(builder: OnnxBuilder, tensor: str, factor: np.float32, added: float, shape: Shape) -> str:
    """factor * x + added, of a map in one pass: ONNX has it as a normalization of mean 0 and variance 1 (and ε 0)."""
    if len(shape) != 3:
        return builder.op("Add", builder.op("Mul", tensor, builder.constant(factor)), builder.constant(added, FLOAT32))
    rows = [builder.constant(np.full(shape[1], value), FLOAT32) for value in (factor, added, 0, 1)]
    return builder.op("BatchNormalization", tensor, *rows, epsilon=0.0)


def _general(builder: OnnxBuilder, neuron: IntegerNeuron, bias: np.ndarray, shape: Shape) -> Step:
    """Any decays, thresholds and fractions."""
    chip = neuron.chip
    kept_share = builder.constant(per_neuron(1 - neuron.decay / chip.decay_unity, shape), FLOAT64)
    levels = builder.constant(per_neuron(neuron.threshold, shape), FLOAT64)
    biases = builder.constant(per_neuron(bias * chip.fraction, shape), FLOAT64)

    def step(state: str, arriving: str) -> tuple[str, str, str]:
        kept = cast(builder, builder.op("Mul", state, kept_share), np.dtype(np.int64))  # a cast rounds toward zero
        arriving = cast(builder, arriving, FLOAT64)
        current = builder.op("Mul", arriving, builder.constant(chip.fraction, FLOAT64))
        membrane = builder.op("Add", cast(builder, kept, FLOAT64), builder.op("Add", current, biases))
        fired = builder.op("Greater", membrane, levels)
        quiet = cast(builder, builder.op("Not", fired), FLOAT64)
        return membrane, builder.op("Mul", membrane, quiet), fired

    return step


def _stays_below_limit(x: Value, neuron: IntegerNeuron, bias: np.ndarray) -> bool:
    """Whether no membrane can reach the chip's limit.

    What is left of a membrane never exceeds the threshold; on the other side it sums to decay_unity / decay times the
    least current at most.
    """
    chip = neuron.chip
    highest = float(neuron.threshold.max()) / chip.fraction + x.high + max(0.0, float(bias.max()))
    least = min(0.0, x.low + float(bias.min()))
    smallest_decay = float(neuron.decay.min()) / chip.decay_unity
    lowest = least / smallest_decay if smallest_decay else -np.inf if least else 0.0
    return highest < chip.sum_limit and lowest > -chip.sum_limit
