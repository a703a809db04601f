"""What arrived earlier in the same sample, 0 at first: each value by a number of time steps of its own."""

from __future__ import annotations

import numpy as np

from ...chip.chip import Chip
from ...graph.windows import Shape
from .arithmetic import per_neuron, require
from .builder import OnnxBuilder
from .value import Value


def delay(builder: OnnxBuilder, value: Value, steps: np.ndarray, shape: Shape, chip: Chip) -> Value:
    """x[t - steps]: [T, B, ...] -> [T, B, ...]. steps: int64 in the node's shape."""
    message = chip.message_limit - 1
    require(builder, value, -message, message, np.zeros(1), (1,))
    waits = [int(wait) for wait in np.unique(steps)]
    result = _shifted(builder, value, waits[0], len(shape))
    for wait in waits[1:]:
        here = builder.constant(per_neuron(steps == wait, shape))
        result = builder.op("Where", here, _shifted(builder, value, wait, len(shape)), result)
    return Value(result, value.dtype, min(value.low, 0.0), max(value.high, 0.0), value.fraction)


def _shifted(builder: OnnxBuilder, value: Value, wait: int, rank: int) -> str:
    """Zeros before the first step, and as many steps less at the end."""
    if not wait:
        return value.tensor
    pads = builder.constant([wait, *[0] * (rank + 1), *[0] * (rank + 2)], np.int64)
    padded = builder.op("Pad", value.tensor, pads)
    first = builder.constant([0], np.int64)
    return builder.op("Slice", padded, first, builder.constant([-wait], np.int64), first)
