"""What NIR says of the parameters of every node, in one table: their types, dimensions and ranges.

It holds for files, before NIR makes nodes of them, and for graphs made in memory, before they are flattened. What
depends on a chip or on other nodes is checked by the kinds of nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from ..errors import GraphError

LARGEST_SIZE = 65_536  # of a kernel, a stride, a map's side: more is a damaged file
LARGEST_PADDING = 1_024
MOST_VALUES = 1 << 27  # that one node gives for one input
MOST_DIMENSIONS = 8
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Parameter:
    """dimensions: how many an array may have; None: any, and all such parameters of a node have one shape.

    most: values in an array. low, high: what they must be within; None: checked elsewhere. words: texts that may stand
    in an array's place.
    """

    dimensions: tuple[int, ...] | None = None
    low: float | None = None
    high: float = LARGEST
    whole: bool = False
    most: int = MOST_VALUES
    words: tuple[str, ...] = ()
    optional: bool = False

    def reason(self, value: Any) -> str | None:
        """What is wrong with a value, and what it must be; None if nothing is."""
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, str) and self.words:
            return None if value in self.words else f"is '{value}'; it must be {' or '.join(self.words)}, or integers"
        try:
            array = np.asarray(value)
        except ValueError:
            return "is ragged; it must be an array"
        if array.dtype.kind not in "biuf":
            return f"is of type {array.dtype}; it must be of real numbers"
        if self.dimensions is not None and array.ndim not in self.dimensions:
            wanted = " or ".join(map(str, self.dimensions))
            return f"has the shape {array.shape}; it must have {wanted} dimensions"
        if array.size == 0:
            return f"has the shape {array.shape}, without a value"
        if array.size > self.most:
            return f"has the shape {array.shape}; {self.most:,} values are the limit"
        return None if self.low is None else self._outside(array, self.low)

    def _outside(self, array: np.ndarray, low: float) -> str | None:
        if not any(array.strides):
            array = array.reshape(-1)[:1]  # one value, shown everywhere
        fits = float(array.min()) >= low and float(array.max()) <= self.high  # not if one is NaN
        if fits and (not self.whole or array.dtype.kind != "f" or bool((array == np.rint(array)).all())):
            return None
        array = array.astype(np.float64)
        right = (array >= low) & (array <= self.high) & ((array == np.rint(array)) | (not self.whole))
        what = f"an integer within {low:g} .. {self.high:g}" if self.whole else "finite"
        if low > -LARGEST and not self.whole:
            what = "finite and above 0"
        return f"is {array[~right].reshape(-1)[0]:g}; it must be {what}"


def _sizes(low: int, high: int, *words: str) -> Parameter:
    """One integer for both directions, or one for each."""
    return Parameter((0, 1), low, high, whole=True, most=2, words=words)


SHAPE = Parameter((0, 1), 1, MOST_VALUES, whole=True)
PERHAPS_SHAPE = Parameter((0, 1), 1, MOST_VALUES, whole=True, optional=True)
DIMENSION = Parameter((0,), -MOST_DIMENSIONS, MOST_DIMENSIONS, whole=True)
VECTOR, MATRIX = Parameter((1,)), Parameter((2,))
FINITE, PERHAPS_FINITE = Parameter(None, -LARGEST), Parameter(None, -LARGEST, optional=True)
POSITIVE = Parameter(None, float(np.finfo(np.float64).tiny))
NUMBERS = Parameter()
POOL = {
    "kernel_size": _sizes(1, LARGEST_SIZE),
    "stride": _sizes(1, LARGEST_SIZE),
    "padding": _sizes(0, LARGEST_PADDING),
}
CONVOLUTION = {
    "input_shape": PERHAPS_SHAPE,
    "stride": _sizes(1, LARGEST_SIZE),
    "padding": _sizes(0, LARGEST_PADDING, "same", "valid"),
    "dilation": _sizes(1, LARGEST_SIZE),
    "groups": Parameter((0,), 1, LARGEST_SIZE, whole=True),
    "bias": VECTOR,
}
INTEGRATOR = {"r": FINITE, "v_leak": FINITE}
SPIKE = {"v_threshold": FINITE, "v_reset": PERHAPS_FINITE}
CURRENT = {"tau_syn": POSITIVE, "tau_mem": POSITIVE, "w_in": PERHAPS_FINITE}
PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Affine": {"weight": MATRIX, "bias": VECTOR},
    "AvgPool2d": POOL,
    "Conv1d": {"weight": Parameter((3,)), **CONVOLUTION},
    "Conv2d": {"weight": Parameter((4,)), **CONVOLUTION},
    "CubaLI": {**INTEGRATOR, **CURRENT},
    "CubaLIF": {**INTEGRATOR, **CURRENT, **SPIKE},
    "Delay": {"delay": FINITE},
    "Flatten": {"start_dim": DIMENSION, "end_dim": DIMENSION, "input_type": PERHAPS_SHAPE},
    "I": {"r": FINITE},
    "IF": {"r": FINITE, **SPIKE},
    "Input": {"shape": SHAPE},
    "LI": {"tau": POSITIVE, **INTEGRATOR},
    "LIF": {"tau": POSITIVE, **INTEGRATOR, **SPIKE},
    "Linear": {"weight": MATRIX},
    "Output": {"shape": SHAPE},
    "Scale": {"scale": NUMBERS},
    "SumPool2d": POOL,
    "Threshold": {"threshold": FINITE},
}


def check_parameters(name: str, kind: str, values: Mapping[str, Any]) -> None:
    """Raise GraphError, naming node, parameter, value and limit, unless a node of a kind may have these parameters."""
    shape = None
    for field, parameter in PARAMETERS[kind].items():
        value = values.get(field)
        if value is None:
            if not parameter.optional:
                raise GraphError(f"node '{name}' is a {kind} without the parameter '{field}'")
            continue
        if reason := parameter.reason(value):
            raise GraphError(f"node '{name}': {field} {reason}")
        if parameter.dimensions is None and np.ndim(value):
            shape = shape or (field, np.shape(value))
            if np.shape(value) != shape[1]:
                raise GraphError(f"node '{name}': {field} has the shape {np.shape(value)}, but {shape[0]} {shape[1]}")


def check_node(name: str, node: nir.NIRNode) -> None:
    """`check_parameters` for a node in memory; nothing for what NIR does not have."""
    for base in type(node).__mro__:
        if base.__name__ in PARAMETERS:
            check_parameters(name, base.__name__, _values(node))


def _values(node: nir.NIRNode) -> Mapping[str, Any]:
    if isinstance(node, nir.Input):
        return {"shape": node.input_type["input"]}
    if isinstance(node, nir.Output):
        return {"shape": node.output_type["output"]}
    if isinstance(node, nir.Flatten):
        return {**vars(node), "input_type": node.input_type["input"]}
    return vars(node)


def check_size(name: str, shape: tuple[int, ...]) -> None:
    """Raise GraphError for what no node gives."""
    if len(shape) > MOST_DIMENSIONS or math.prod(shape) > MOST_VALUES:
        limit = f"{MOST_DIMENSIONS} dimensions and {MOST_VALUES:,} values are the limit"
        raise GraphError(f"node '{name}' gives the shape {shape}; {limit}")
