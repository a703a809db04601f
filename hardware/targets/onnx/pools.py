"""Sums, means and maxima over windows, first along the height, then along the width."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce

import numpy as np

from ...chip.chip import Chip
from ...graph.operations.max_pool import MaxPoolOperation
from ...graph.synapse import WindowSum
from ...graph.windows import Shape, Window, pair
from .arithmetic import converted, require_multiples
from .builder import OnnxBuilder
from .value import FLOAT64, FLOATS, INT32, UINT8, Value, first_that_holds


def sum_windows(builder: OnnxBuilder, x: Value, form: WindowSum) -> Value:
    """[T, B, H, W, C] -> [T, B, H', W', C]."""
    area = math.prod(form.window.kernel)
    low, high = x.low * area, x.high * area
    integers = {UINT8: [UINT8, INT32], INT32: [INT32]}.get(x.dtype, [])
    whole = form.sees_everything or (form.out_shape[1:] == (1, 1) and form.window == Window(pair(form.in_shape[1:])))
    dtype = first_that_holds([*([] if whole else integers), *FLOATS], low, high, x.fraction)
    x = converted(builder, x, dtype)
    if whole:
        tensor = builder.op("ReduceSum", x.tensor, builder.constant([2, 3], np.int64))
        if form.out_shape[1:] != (1, 1):
            size = builder.constant([1, 1, *form.out_shape[1:], 1], np.int64)
            tensor = builder.op("Expand", tensor, size)
    else:
        tensor = _reduce(builder, x.tensor, "Add", form.window, form.in_shape, builder.constant(0, dtype))
    return Value(tensor, dtype, low, high, x.fraction)


def average_windows(builder: OnnxBuilder, x: Value, form: WindowSum, chip: Chip) -> Value:
    """The sum divided by the window's size; means that are no multiples of the membrane's unit are checked for."""
    total = sum_windows(builder, x, form)
    area = math.prod(form.window.kernel)
    low, high = total.low / area, total.high / area
    if area & (area - 1) == 0:
        fraction = total.fraction + area.bit_length() - 1
        dtype = first_that_holds(FLOATS, total.low, total.high, total.fraction)
        factor = builder.constant(1 / area, dtype)
        return Value(builder.op("Mul", converted(builder, total, dtype).tensor, factor), dtype, low, high, fraction)
    total = converted(builder, total, FLOAT64)
    tensor = builder.op("Div", total.tensor, builder.constant(area, FLOAT64))
    anything = max(total.fraction, chip.fraction_bits) + 1
    return require_multiples(builder, Value(tensor, FLOAT64, low, high, anything), chip.fraction_bits)


def max_windows(builder: OnnxBuilder, x: Value, operation: MaxPoolOperation) -> Value:
    """Max-pool of currents; padding never wins."""
    window = Window.of(operation.kernel, operation.stride, operation.padding)
    if x.dtype not in FLOATS:
        x = converted(builder, x, INT32)
    never = builder.constant(math.floor(x.low) - 1, x.dtype)
    return replace(x, tensor=_reduce(builder, x.tensor, "Max", window, operation.input_shape, never))


def _reduce(builder: OnnxBuilder, tensor: str, kind: str, window: Window, shape: Shape, padding: str) -> str:
    """One operation over each window, axis by axis."""
    top, left = window.padding
    if top or left:
        pads = builder.constant([0, 0, top, left, 0, 0, 0, top, left, 0], np.int64)
        tensor = builder.op("Pad", tensor, pads, padding)
    for axis, count in enumerate(window.output_size(shape[1:])):
        stride, last = window.stride[axis], window.stride[axis] * (count - 1) + 1
        if window.kernel[axis] == 1 and stride == 1:
            continue
        along = builder.constant([2 + axis], np.int64)
        taps = [
            builder.op(
                "Slice",
                tensor,
                builder.constant([tap], np.int64),
                builder.constant([tap + last], np.int64),
                along,
                builder.constant([stride], np.int64),
            )
            for tap in range(window.kernel[axis])
        ]
        tensor = reduce(lambda a, b: builder.op(kind, a, b), taps)
    return tensor
