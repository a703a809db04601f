"""What a marked nested graph computes, as one operation.

Self-attention and max-pooling of currents are lowered to thousands of gates. The nested graph that holds them says
in its metadata what they compute, so that a target may do it at once. The mark is a hint: marks.py holds it against
the gates, and without it the gates are executed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import nir
import numpy as np


@dataclass(frozen=True)
class Operation(ABC):
    """An operation on integers [N, *input_shape] -> [N, *output_shape], without memory."""

    name: ClassVar[str]  # what a mark calls it

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @classmethod
    @abstractmethod
    def from_metadata(
        cls, input_shape: tuple[int, ...], output_shape: tuple[int, ...], values: Mapping[str, Any]
    ) -> Operation:
        """The operation that a nested graph of these shapes is marked with. Raises KeyError, TypeError, ValueError."""

    @abstractmethod
    def gates(self) -> nir.NIRGraph:
        """The nested graph of gates that computes it: what the toolkit writes, and what proves a mark."""

    @abstractmethod
    def check_inputs(self, name: str, x: np.ndarray) -> None:
        """Raise RangeError unless the gates compute this operation for these inputs."""

    @abstractmethod
    def apply(self, x: np.ndarray) -> np.ndarray:
        """The output for x, in x's floating-point type; exact while sums stay below its mantissa."""

    @abstractmethod
    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Least and largest output for inputs within low .. high."""

    @abstractmethod
    def at_rest(self, constant: np.ndarray) -> np.ndarray:
        """What a constant input [*input_shape] (a bias) adds to the output whatever else arrives, or GraphError."""

    @abstractmethod
    def samples(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Inputs [count, *input_shape] that tell other operations from this one."""

    @property
    def largest(self) -> int:
        """Values of the largest array that `apply` makes for one input, about."""
        return int(np.prod(self.output_shape))

    @property
    @abstractmethod
    def gate_count(self) -> int:
        """How many Threshold neurons `gates` has; known without making them."""

    @property
    def products(self) -> int:
        """Multiplications for one input, about."""
        return int(np.prod(self.output_shape))


def integer(values: Mapping[str, Any], field: str, most: int) -> int:
    """A number of a mark. Raises KeyError where it is missing, ValueError unless it is an integer of at most `most`."""
    value = values[field]
    if isinstance(value, (str, bytes)) or np.ndim(value) or value != int(value) or not abs(value) <= most:
        raise ValueError(f"{field} is {value!r}; it must be an integer, at most {most}")
    return int(value)
