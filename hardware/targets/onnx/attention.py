"""Spiking self-attention as two matrix products."""

from __future__ import annotations

import math

import numpy as np

from ...graph.operations.self_attention import SelfAttentionOperation
from .arithmetic import cast
from .builder import OnnxBuilder
from .value import FLOATS, Value, first_that_holds


def attend(builder: OnnxBuilder, x: Value, operation: SelfAttentionOperation) -> Value:
    """scale * Q (K^T V) for spikes: [T, B, H, W, 3C], queries, keys and values -> [T, B, H, W, C]."""
    channels, *size = operation.output_shape
    heads, tokens = operation.heads, math.prod(size)
    low, high = operation.bounds(x.low, x.high)
    dtype = first_that_holds(FLOATS, low, high)
    split = builder.constant([0, 0, tokens, 3 * heads, channels // heads], np.int64)
    by_head = builder.op("Reshape", cast(builder, x.tensor, dtype), split)
    query, key, value = builder.ops(
        "Split", builder.op("Transpose", by_head, perm=[0, 1, 3, 2, 4]), count=3, axis=2
    )  # [T, B, heads, tokens, C / heads] each
    mixed = builder.op("MatMul", builder.op("Transpose", key, perm=[0, 1, 2, 4, 3]), value)
    result = builder.op("MatMul", query, mixed)
    result = builder.op("Mul", result, builder.constant(operation.scale, dtype))
    joined = builder.op("Transpose", result, perm=[0, 1, 3, 2, 4])
    tensor = builder.op("Reshape", joined, builder.constant([0, 0, *size, channels], np.int64))
    return Value(tensor, dtype, low, high)
