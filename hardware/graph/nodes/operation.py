"""A marked nested graph that is executed as the one operation that it computes."""

from __future__ import annotations

import numpy as np

from ...errors import GraphError
from ..operations.operation import Operation
from ..windows import Shape
from .kind import Interval, Memoryless, expect


class OperationKind(Memoryless):
    """No node of NIR: what `flatten(fused=True)` puts in the place of a nested graph of gates."""

    node_type = Operation

    def output_shape(self, name: str, node: Operation, source: str, shape: Shape) -> Shape:
        """The shape that the nested graph gave."""
        expect(name, source, shape, node.input_shape)
        return node.output_shape

    def apply(self, node: Operation, x: np.ndarray) -> np.ndarray:
        """The operation."""
        return node.apply(x)

    def at_rest(self, name: str, node: Operation, constant: np.ndarray) -> np.ndarray:
        """What the operation makes of a bias."""
        try:
            return node.at_rest(constant)
        except GraphError as error:
            raise GraphError(f"node '{name}': {error}") from error

    def transpose(self, node: Operation, gradient: np.ndarray, shape: Shape) -> None:
        """An operation has no weights."""

    def bounds(self, node: Operation, low: float, high: float) -> Interval:
        """Those of the operation."""
        return node.bounds(low, high)

    def synapse(self, name: str, node: Operation, in_shape: Shape, out_shape: Shape) -> Operation:
        """The operation itself."""
        return node

    def check_inputs(self, name: str, node: Operation, x: np.ndarray) -> None:
        """The gates compute the operation for some inputs only."""
        node.check_inputs(name, x)


KIND = OperationKind()
