"""Sums of values, conversions that lose nothing, and checks for what cannot be excluded beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from ...graph.windows import Shape
from .builder import OnnxBuilder
from .value import FLOAT64, FLOATS, INT32, UINT8, DType, Value, first_that_holds


def cast(builder: OnnxBuilder, tensor: str, dtype: DType) -> str:
    """A tensor in another type."""
    return builder.op("Cast", tensor, to=builder.type_of(dtype))


def converted(builder: OnnxBuilder, value: Value, dtype: DType) -> Value:
    """The same numbers in a type that holds them."""
    if value.dtype == dtype:
        return value
    return replace(value, tensor=cast(builder, value.tensor, dtype), dtype=dtype)


def add(builder: OnnxBuilder, values: Sequence[Value]) -> Value:
    """The sum of values of one shape, in the smallest type that holds it."""
    first, *others = values
    if not others:
        return first
    low, high = sum(v.low for v in values), sum(v.high for v in values)
    fraction = max(v.fraction for v in values)
    integers: list[DType] = [UINT8] if all(v.dtype == UINT8 for v in values) else []
    integers += [INT32] if all(v.dtype not in FLOATS for v in values) else []
    dtype = first_that_holds([*integers, *FLOATS], low, high, fraction)
    terms = [converted(builder, value, dtype).tensor for value in values]
    return Value(reduce(lambda a, b: builder.op("Add", a, b), terms), dtype, low, high, fraction)


def add_constant(builder: OnnxBuilder, value: Value, constant: np.ndarray, shape: Shape) -> Value:
    """A value plus integers in the node's shape."""
    if not np.any(constant):
        return value
    low, high = min(0.0, value.low + float(constant.min())), max(0.0, value.high + float(constant.max()))
    integers = [] if value.dtype in FLOATS else [INT32]
    dtype = first_that_holds([*integers, *FLOATS], low, high, value.fraction)
    added = builder.constant(per_neuron(constant, shape), dtype)
    tensor = builder.op("Add", converted(builder, value, dtype).tensor, added)
    return Value(tensor, dtype, low, high, value.fraction)


def multiply(builder: OnnxBuilder, value: Value, factors: np.ndarray | float, low: float, high: float) -> Value:
    """Integer factors times a value; low, high: of the product."""
    integers = [] if value.dtype in FLOATS else [INT32]
    dtype = first_that_holds([*integers, *FLOATS], low, high, value.fraction)
    factor = builder.constant(factors, dtype)
    tensor = builder.op("Mul", converted(builder, value, dtype).tensor, factor)
    return Value(tensor, dtype, low, high, value.fraction)


def per_neuron(array: np.ndarray | float, shape: Shape) -> np.ndarray:
    """Parameters of a node as they meet its tensor: channels last, and of size 1 along what they do not depend on.

    array: in the node's shape, or one for all.
    """
    given = np.asarray(array)
    values = np.broadcast_to(given.reshape(()) if given.size == 1 else given, shape)
    if len(shape) == 3:
        values = values.transpose(1, 2, 0)
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    while values.ndim and len(values) == 1:
        values = values[0]
    return np.asarray(values)


def require(builder: OnnxBuilder, value: Value, low: float, high: float, bias: np.ndarray, shape: Shape) -> None:
    """Check, where bounds do not exclude the contrary, that low <= value + bias <= high. bias: in the node's shape."""
    least, largest = value.low + bias.min(), value.high + bias.max()
    if value.by_channel and len(shape) == 3:
        least = (value.by_channel[0] + bias.min((1, 2))).min()
        largest = (value.by_channel[1] + bias.max((1, 2))).max()
    if low <= least and largest <= high:
        return
    added = builder.constant(per_neuron(bias, shape), FLOAT64)
    first = [0, 1]  # time steps and batch, along which the bias is the same
    for kind, comparison, limit in (("ReduceMin", "GreaterOrEqual", low), ("ReduceMax", "LessOrEqual", high)):
        extremes = cast(builder, builder.op(kind, value.tensor, axes=first, keepdims=0), FLOAT64)
        extreme = builder.op(kind, builder.op("Add", extremes, added), keepdims=0)
        builder.checks.append(builder.op(comparison, extreme, builder.constant(limit, FLOAT64)))


def require_multiples(builder: OnnxBuilder, value: Value, fraction: int) -> Value:
    """Check, where it is not known, that a value is a multiple of 2^-fraction, and say so of the result."""
    if value.fraction <= fraction:
        return value
    scaled = builder.op("Mul", value.tensor, builder.constant(2.0**fraction, value.dtype))
    distance = builder.op("Abs", builder.op("Sub", scaled, builder.op("Round", scaled)))
    worst = builder.op("ReduceMax", distance, keepdims=0)
    builder.checks.append(builder.op("Equal", worst, builder.constant(0, value.dtype)))
    return replace(value, fraction=fraction)
