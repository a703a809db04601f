"""Convolutions and dense layers: windows gathered in channels-last order, times a matrix of int8.

Where uint8 meets int8 the product is MatMulInteger's, with sums in int32. Processors without VNNI multiply pairs in
16 bits and saturate: two products of at most 127 x 128 fit, so larger values take the way through floating point,
whose type is chosen such that no sum can be rounded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...chip.arithmetic import weight_exponent
from ...chip.chip import Chip
from ...graph.nodes.dense import product_bounds
from ...graph.synapse import Convolution
from ...graph.windows import Shape, Window
from .arithmetic import cast, multiply
from .builder import OnnxBuilder
from .value import FLOAT32, FLOATS, INT8, INT32, UINT8, Value, first_that_holds, holds

LARGEST_FACTOR = 127  # of uint8: 2 * 127 * 128 < 2^15
LARGEST_POWER = 101  # of two, of which float32 has all


def convolve(builder: OnnxBuilder, x: Value, form: Convolution, chip: Chip) -> Value:
    """W * x: [T, B, H, W, C] -> [T, B, H', W', C'], or [T, B, inputs] -> [T, B, outputs]."""
    weight = np.asarray(form.weight, np.int64)
    low, high = product_bounds(weight, x.low, x.high)
    exponent = weight_exponent(weight, chip)
    mantissa = weight >> exponent
    most = float(np.abs(mantissa).reshape(len(weight), -1).sum(1).max(initial=0) * x.most)
    windows = gather(builder, x.tensor, form.window, form.in_shape)
    matrix = _matrix(mantissa, form.groups)
    if form.groups > 1:
        windows = _by_group(builder, windows, form)
        matrix = matrix[:, None, None]
    fits = holds(INT8, float(mantissa.min(initial=0)), float(mantissa.max(initial=0)))
    bounds = low / 2.0**exponent, high / 2.0**exponent
    if x.dtype == UINT8 and x.high <= LARGEST_FACTOR and fits and holds(INT32, -most, most):
        value = Value(builder.op("MatMulInteger", windows, builder.constant(matrix, INT8)), INT32, *bounds)
    else:
        dtype = first_that_holds(FLOATS, -most, most, x.fraction)
        weights = builder.derived("Cast", builder.constant(matrix, INT8 if fits else INT32), to=builder.type_of(dtype))
        factors = windows if x.dtype == dtype else cast(builder, windows, dtype)
        value = Value(builder.op("MatMul", factors, weights), dtype, *bounds, x.fraction)
    if form.groups > 1:
        value = replace(value, tensor=_joined(builder, value.tensor, form))
    elif value.dtype == INT32 and holds(FLOAT32, low, high):
        return replace(_in_float32(builder, value, exponent), low=low, high=high)
    return multiply(builder, value, 1 << exponent, low, high) if exponent else value


def _in_float32(builder: OnnxBuilder, value: Value, exponent: int) -> Value:
    """The sums of a MatMulInteger times 2^exponent in float32, which has all of them.

    ONNX Runtime computes product, conversion, scale and a bias that is added next in one kernel, where the scale is a
    product of two that it cannot compute beforehand and that no other node shares. So 2^exponent is made of two powers
    that are not used twice, one of which comes through the input's shape.
    """
    steps = builder.derived("Shape", builder.input_name, start=0, end=1)
    steps = builder.derived("Cast", steps, to=builder.type_of(FLOAT32))
    power = len(builder.nodes) % LARGEST_POWER
    part = builder.op("Min", steps, builder.constant([2.0**-power], FLOAT32))
    scale = builder.op("Mul", part, builder.constant([2.0 ** (exponent + power)], FLOAT32))
    tensor = builder.op("Mul", cast(builder, value.tensor, FLOAT32), scale)
    return replace(value, tensor=tensor, dtype=FLOAT32)


def gather(builder: OnnxBuilder, tensor: str, window: Window, shape: Shape) -> str:
    """What each window sees, position by position: [T, B, H, W, C] -> [T, B, H', W', height * width * C]."""
    if window == Window((1, 1)):
        return tensor
    channels, height, width = shape
    (top, left), (rows, columns) = window.padding, window.output_size((height, width))
    if top or left:
        pads = builder.constant([0, 0, top, left, 0, 0, 0, top, left, 0], np.int64)
        tensor = builder.op("Pad", tensor, pads)
        height, width = height + 2 * top, width + 2 * left
    row = np.arange(rows)[:, None] * window.stride[0] + np.arange(window.kernel[0]) * window.dilation[0]
    column = np.arange(columns)[:, None] * window.stride[1] + np.arange(window.kernel[1]) * window.dilation[1]
    places = builder.derived(
        "Add",
        builder.constant(row[:, None, :, None] * width, np.int32),
        builder.constant(column[None, :, None, :], np.int32),
    )
    area = window.kernel[0] * window.kernel[1]
    places = builder.derived("Reshape", places, builder.constant([rows, columns, area], np.int64))
    flat = builder.op("Reshape", tensor, builder.constant([0, 0, height * width, channels], np.int64))
    seen = builder.op("Gather", flat, places, axis=2)
    return builder.op("Reshape", seen, builder.constant([0, 0, rows, columns, area * channels], np.int64))


def channel_shift(form: Convolution) -> int | None:
    """How far a convolution moves channels up, if it does nothing else: it puts spikes into a larger map."""
    weight, inputs, outputs = form.weight[:, :, 0, 0], form.in_shape[0], len(form.weight)
    if form.groups > 1 or form.window != Window((1, 1)) or outputs < inputs:
        return None
    shift = int(weight[:, 0].argmax())
    return shift if np.array_equal(weight, np.eye(outputs, inputs, -shift)) else None


def shift_channels(builder: OnnxBuilder, x: Value, form: Convolution, shift: int) -> Value:
    """[T, B, H, W, C] -> [T, B, H, W, C'], zero but for C channels from `shift` on."""
    after = len(form.weight) - form.in_shape[0] - shift
    pads = builder.constant([0, 0, 0, 0, shift, 0, 0, 0, 0, after], np.int64)
    return replace(x, tensor=builder.op("Pad", x.tensor, pads))


def _matrix(weight: np.ndarray, groups: int) -> np.ndarray:
    """[C_out, C_in / groups, height, width] -> [height * width * C_in, C_out]; with groups, one matrix each."""
    channels = weight.transpose(2, 3, 1, 0)
    if groups == 1:
        return channels.reshape(-1, len(weight))
    split = channels.reshape(*channels.shape[:3], groups, -1)
    return split.transpose(3, 0, 1, 2, 4).reshape(groups, -1, len(weight) // groups)


def _by_group(builder: OnnxBuilder, windows: str, form: Convolution) -> str:
    """[T, B, H', W', height * width * C_in] -> [groups, T, B, H' * W', height * width * C_in / groups]."""
    area = form.window.kernel[0] * form.window.kernel[1]
    positions = int(np.prod(form.out_shape[1:]))
    split = [0, 0, positions, area, form.groups, form.weight.shape[1]]
    tensor = builder.op("Reshape", windows, builder.constant(split, np.int64))
    tensor = builder.op("Transpose", tensor, perm=[4, 0, 1, 2, 3, 5])
    return builder.op("Reshape", tensor, builder.constant([0, 0, 0, positions, -1], np.int64))


def _joined(builder: OnnxBuilder, tensor: str, form: Convolution) -> str:
    """[groups, T, B, H' * W', C_out / groups] -> [T, B, H', W', C_out]."""
    tensor = builder.op("Transpose", tensor, perm=[1, 2, 3, 0, 4])
    channels, *size = form.out_shape
    return builder.op("Reshape", tensor, builder.constant([0, 0, *size, channels], np.int64))
