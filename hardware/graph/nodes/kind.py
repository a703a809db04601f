"""What the toolkit must know of a kind of NIR node. Each kind is one file beside this one; nothing else names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...chip.arithmetic import check_integer, check_weights
from ...chip.chip import Chip
from ...errors import GraphError
from ..float_neuron import FloatNeuron
from ..neuron import IntegerNeuron
from ..synapse import Synapse
from ..windows import Shape

Interval = tuple[float, float]


class NodeKind(ABC):
    """One kind of node: an Input or Output (`Port`), one without memory (`Memoryless`), one that waits
    (`Delaying`), a membrane that is read (`Readout`) or one that spikes (`Spiking`).

    The methods take the node itself; `name` is what an error calls it.
    """

    node_type: ClassVar[type]

    @abstractmethod
    def output_shape(self, name: str, node: Any, source: str, shape: Shape) -> Shape:
        """The shape that a node gives for what `source` gives. Raises GraphError if it does not fit."""

    def parameters(self, node: Any) -> Mapping[str, np.ndarray]:
        """Weights and biases by the name of their field; `bias` is added, `delay` waits, others multiply."""
        return {}

    def check_integers(self, name: str, node: Any, chip: Chip) -> None:
        """Raise RangeError unless the weights have the chip's format and the biases are integers."""
        for field, values in self.parameters(node).items():
            if field == "bias":
                check_integer(name, field, values)
            else:
                check_weights(name, values, chip)

    def check_finite(self, name: str, node: Any) -> None:
        """Raise GraphError if a weight or bias is NaN or infinite."""
        for field, values in self.parameters(node).items():
            if not np.isfinite(values).all():
                raise GraphError(f"node '{name}' has a {field} that is NaN or infinite")


class Port(NodeKind):
    """Where values enter or leave a graph."""


class Memoryless(NodeKind):
    """A node whose output at a time step depends on its input at that time step alone."""

    is_reshape: ClassVar[bool] = False  # gives its input another shape only: no synapse, so it costs no time step

    @abstractmethod
    def apply(self, node: Any, x: np.ndarray) -> np.ndarray:
        """The output without the bias. x: [N, *shape], integers in float64. Returns [N, ...] in float64."""

    def bias(self, node: Any) -> np.ndarray | float:
        """What is added to the output, shaped to be added to it without the batch."""
        return 0.0

    def at_rest(self, name: str, node: Any, constant: np.ndarray) -> np.ndarray:
        """What the node gives when a constant [*shape] arrives and no spike does: biases, passed on."""
        return self.apply(node, constant[None])[0] + self.bias(node)

    @abstractmethod
    def transpose(self, node: Any, gradient: np.ndarray, shape: Shape) -> np.ndarray | None:
        """The transpose applied to a gradient of the output; shape: of the input. None where there are no weights."""

    @abstractmethod
    def bounds(self, node: Any, low: float, high: float) -> Interval:
        """Least and largest output, without the bias, for inputs within low <= 0 <= high."""

    @abstractmethod
    def synapse(self, name: str, node: Any, in_shape: Shape, out_shape: Shape) -> Synapse:
        """What a neuromorphic chip computes it by. Raises GraphError where none can."""

    def check_inputs(self, name: str, node: Any, x: np.ndarray) -> None:
        """Raise RangeError for an input that the node cannot be executed on."""


class Delaying(NodeKind):
    """A node that gives what arrived earlier."""

    @abstractmethod
    def steps(self, node: Any, time_step: float) -> np.ndarray:
        """How many time steps each value waits, int64 in the shape of what arrives."""


class Readout(NodeKind):
    """A membrane that an Output shows, and that never fires."""

    @abstractmethod
    def integer(self, name: str, node: Any, time_step: float, chip: Chip) -> IntegerNeuron:
        """The chip's neuron whose membrane it is. Raises GraphError or RangeError if there is none."""

    @abstractmethod
    def floating(self, name: str, node: Any, time_step: float) -> FloatNeuron:
        """The same by Euler's rule."""


class Spiking(NodeKind):
    """A population: a node with a threshold, and perhaps a membrane."""

    @abstractmethod
    def threshold(self, node: Any) -> np.ndarray:
        """The parameter that has the population's shape."""

    @abstractmethod
    def integer(self, name: str, node: Any, time_step: float, chip: Chip) -> IntegerNeuron:
        """The neuron of a chip that the node exactly is. Raises GraphError or RangeError if there is none."""

    @abstractmethod
    def floating(self, name: str, node: Any, time_step: float) -> FloatNeuron:
        """The node by Euler's rule. Raises GraphError for what has no float form here."""

    def shape(self, node: Any) -> Shape:
        """That of the population."""
        return tuple(self.threshold(node).shape)

    def output_shape(self, name: str, node: Any, source: str, shape: Shape) -> Shape:
        """One spike for each value that arrives."""
        expect(name, source, shape, self.shape(node))
        return shape


def expect(name: str, source: str, shape: Shape, wanted: Shape) -> None:
    """Raise GraphError unless the source's shape is the one that a node needs."""
    if shape != wanted:
        raise GraphError(f"node '{name}' needs an input of shape {wanted}, but '{source}' gives {shape}")


def expect_map(name: str, source: str, shape: Shape) -> None:
    """Raise GraphError unless the source gives maps."""
    if len(shape) != 3:
        raise GraphError(f"node '{name}' needs an input [channels, height, width], but '{source}' gives {shape}")


def expect_room(name: str, kernel: tuple[int, ...], shape: Shape, size: tuple[int, int]) -> None:
    """Raise GraphError if a window gives no output because its kernel is larger than the padded input."""
    if min(size) < 1:
        raise GraphError(f"node '{name}' has a kernel {tuple(kernel)} larger than its padded input {shape}")
