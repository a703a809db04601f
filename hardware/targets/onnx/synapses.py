"""What ONNX has for each form of synapse, and the interpreter's checks on what arrives and leaves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ...chip.chip import Chip
from ...errors import GraphError
from ...graph.flat import FlatGraph
from ...graph.nodes import memoryless
from ...graph.nodes.avg_pool2d import AvgPool2dKind
from ...graph.operations import Operation
from ...graph.operations.max_pool import MaxPoolOperation
from ...graph.operations.self_attention import SelfAttentionOperation
from ...graph.synapse import Convolution, Elementwise, WindowSum
from ...graph.windows import Shape
from .arithmetic import multiply, per_neuron, require, require_multiples
from .attention import attend
from .builder import OnnxBuilder
from .pools import average_windows, max_windows, sum_windows
from .products import channel_shift, convolve, shift_channels
from .value import Value


def pass_on(builder: OnnxBuilder, flat: FlatGraph, name: str, total: Value, resting: np.ndarray) -> Value:
    """What a node without memory gives, biases left out, for the sum that arrives.

    resting: what the biases before it add to that sum. Raises GraphError for an operation that ONNX has no form of.
    """
    node, kind = flat.nodes[name], memoryless(name, flat.nodes[name])
    message = flat.chip.message_limit - 1
    total = replace(total, low=min(total.low, 0.0), high=max(total.high, 0.0))
    require(builder, total, -message, message, resting, flat.in_shape(name))
    given = _given(builder, flat, name, total, resting)
    passed_on = np.asarray(kind.at_rest(name, node, resting) - kind.bias(node))
    require(builder, given, -message, message, passed_on, flat.shapes[name])
    return given


def _given(builder: OnnxBuilder, flat: FlatGraph, name: str, total: Value, resting: np.ndarray) -> Value:
    node, kind = flat.nodes[name], memoryless(name, flat.nodes[name])
    in_shape, out_shape = flat.in_shape(name), flat.shapes[name]
    if kind.is_reshape:
        return _reshape(builder, total, in_shape, out_shape)
    if isinstance(kind, AvgPool2dKind):  # which has no form on a chip
        return average_windows(builder, total, WindowSum(kind.window(node), in_shape, out_shape), flat.chip)
    form = kind.synapse(name, node, in_shape, out_shape)
    if isinstance(form, Convolution):
        if len(in_shape) == 2:
            return _convolve_row(builder, total, form, flat.chip)
        shift = channel_shift(form) if len(in_shape) == 3 else None
        if shift is not None:
            return shift_channels(builder, total, form, shift)
        return convolve(builder, total, form, flat.chip)
    if isinstance(form, WindowSum):
        return sum_windows(builder, total, form)
    if isinstance(form, Elementwise):
        return multiply(builder, total, per_neuron(form.scale, out_shape), *kind.bounds(node, *total.bounds))
    return _operate(builder, name, form, total, resting)


def _convolve_row(builder: OnnxBuilder, total: Value, form: Convolution, chip: Chip) -> Value:
    """[T, B, C, L] as maps of one row."""
    channels, length = form.out_shape[0], form.out_shape[2]
    shape = builder.constant([0, 0, *form.in_shape], np.int64)
    maps = builder.op("Transpose", builder.op("Reshape", total.tensor, shape), perm=[0, 1, 3, 4, 2])
    given = convolve(builder, replace(total, tensor=maps), form, chip)
    rows = builder.op("Transpose", given.tensor, perm=[0, 1, 4, 2, 3])
    shape = builder.constant([0, 0, channels, length], np.int64)
    return replace(given, tensor=builder.op("Reshape", rows, shape), by_channel=None)


def _operate(builder: OnnxBuilder, name: str, operation: Operation, total: Value, resting: np.ndarray) -> Value:
    """A marked nested graph at once, for the inputs for which its gates compute it."""
    shape = operation.input_shape
    if isinstance(operation, MaxPoolOperation):
        require(builder, total, operation.low, operation.high, resting, shape)
        return max_windows(builder, total, operation)
    if isinstance(operation, SelfAttentionOperation):
        require(builder, total, 0, 1, resting, shape)
        return attend(builder, require_multiples(builder, total, 0), operation)
    raise GraphError(f"node '{name}' computes '{operation.name}', which ONNX has no form of; use fused=False")


def _reshape(builder: OnnxBuilder, value: Value, before: Shape, after: Shape) -> Value:
    """The same values in another shape, of which maps have their channels last."""
    tensor: Any = value.tensor
    if len(before) == 3 and math.prod(before[1:]) > 1:
        tensor = builder.op("Transpose", tensor, perm=[0, 1, 4, 2, 3])
    tensor = builder.op("Reshape", tensor, builder.constant([0, 0, *after], np.int64))
    if len(after) == 3:
        tensor = builder.op("Transpose", tensor, perm=[0, 1, 3, 4, 2])
    return Value(tensor, value.dtype, value.low, value.high, value.fraction)
