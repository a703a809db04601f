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
from ...graph.synapse import Convolution
from ...graph.windows import Shape, Window
from .arithmetic import cast, converted, multiply
from .builder import OnnxBuilder
from .value import FLOAT32, FLOATS, INT8, INT32, UINT8, DType, Value, first_that_holds, holds

LARGEST_FACTOR = 127  # of uint8: 2 * 127 * 128 < 2^15
LARGEST_POWER = 101  # of two, of which float32 has all


def convolve(builder: OnnxBuilder, x: Value, form: Convolution, chip: Chip) -> Value:
    """W * x: [T, B, H, W, C] -> [T, B, H', W', C'], or [T, B, inputs] -> [T, B, outputs]."""
    weight = np.asarray(form.weight, np.int64)
    exponent = weight_exponent(weight, chip)
    windows = gather(builder, x.tensor, form.window, form.in_shape)
    matrix = _matrix(weight >> exponent, form.groups)
    if form.groups > 1:
        windows = _by_group(builder, windows, form)
        matrix = matrix[:, None, None]
    tensor, dtype = _product(builder, replace(x, tensor=windows), matrix)
    if form.groups > 1:
        tensor = _joined(builder, tensor, form)
    rows = weight.reshape(len(weight), -1)
    positive, negative = rows.clip(min=0).sum(1), rows.clip(max=0).sum(1)
    by_channel = positive * x.low + negative * x.high, positive * x.high + negative * x.low
    low, high = float(by_channel[0].min()), float(by_channel[1].max())
    if dtype == INT32 and form.groups == 1 and holds(FLOAT32, low, high):
        return Value(_in_float32(builder, tensor, exponent), FLOAT32, low, high, by_channel=by_channel)
    value = Value(tensor, dtype, low / 2.0**exponent, high / 2.0**exponent, x.fraction)
    if exponent:
        value = multiply(builder, value, 1 << exponent, low, high)
    return replace(value, by_channel=by_channel)


def _product(builder: OnnxBuilder, windows: Value, matrix: np.ndarray) -> tuple[str, DType]:
    """Windows [..., K] times an integer matrix [..., K, C], and the type that holds it without rounding."""
    most = float(np.abs(matrix).sum(-2).max(initial=0) * windows.most)
    fits = holds(INT8, float(matrix.min(initial=0)), float(matrix.max(initial=0)))
    stored = builder.constant(matrix, INT8 if fits else INT32)
    if windows.dtype == UINT8 and windows.high <= LARGEST_FACTOR and fits and holds(INT32, -most, most):
        return builder.op("MatMulInteger", windows.tensor, stored), INT32
    dtype = first_that_holds(FLOATS, -most, most, windows.fraction)
    weights = builder.derived("Cast", stored, to=builder.type_of(dtype))
    return builder.op("MatMul", converted(builder, windows, dtype).tensor, weights), dtype


def _in_float32(builder: OnnxBuilder, tensor: str, exponent: int) -> str:
    """The sums of a MatMulInteger times 2^exponent in float32.

    ONNX Runtime computes product, conversion, scale and a bias that is added next in one kernel, where the scale is a
    product of two that it cannot compute beforehand and that no other node shares. So 2^exponent is made of two powers
    that are not used twice, one of which comes through the input's shape.
    """
    steps = builder.derived("Shape", builder.input_name, start=0, end=1)
    steps = builder.derived("Cast", steps, to=builder.type_of(FLOAT32))
    builder.scales += 1
    power = builder.scales % LARGEST_POWER
    part = builder.op("Min", steps, builder.constant([2.0**-power], FLOAT32))
    scale = builder.op("Mul", part, builder.constant([2.0 ** (exponent + power)], FLOAT32))
    return builder.op("Mul", cast(builder, tensor, FLOAT32), scale)


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
    return Value(builder.op("Pad", x.tensor, pads), x.dtype, x.low, x.high, x.fraction)


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
