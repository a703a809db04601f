"""Layers of weights of any form that NIR has, with float or integer weights: y = W x + b over [T, B, ...]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import nir
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import integer, spread

Shape = tuple[int, ...]


class Form(ABC):
    """How weights meet what arrives."""

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """W x: [N, *shape] -> [N, *shape']."""

    @abstractmethod
    def bias(self, bias: Tensor) -> Tensor:
        """The bias, one value for each row of weights, in a shape that adds to the output without the batch."""

    @abstractmethod
    def rows(self, weight: Tensor) -> Tensor:
        """The weights of each output as a row, [outputs, inputs], for bounds."""

    @abstractmethod
    def node(self, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> nir.NIRNode:
        """The node of NIR. shape: of what arrives."""


@dataclass(frozen=True)
class Dense(Form):
    """weight [outputs, inputs]."""

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """The matrix product."""
        return F.linear(x, weight)

    def bias(self, bias: Tensor) -> Tensor:
        """One an output."""
        return bias

    def rows(self, weight: Tensor) -> Tensor:
        """As they are."""
        return weight

    def node(self, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> nir.NIRNode:
        """An Affine, or a Linear where no bias is."""
        return nir.Affine(weight, bias) if bias.any() else nir.Linear(weight)


@dataclass(frozen=True)
class Convolve(Form):
    """weight [C_out, C_in / groups, *kernel] over one or two dimensions, cross-correlation."""

    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution."""
        convolve = F.conv1d if weight.ndim == 3 else F.conv2d
        return convolve(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def bias(self, bias: Tensor) -> Tensor:
        """One a channel."""
        return bias.view(-1, *(1 for _ in self.stride))

    def rows(self, weight: Tensor) -> Tensor:
        """A row for each channel."""
        return weight.flatten(1)

    def node(self, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> nir.NIRNode:
        """A Conv1d or Conv2d."""
        geometry = (self.stride, self.padding, self.dilation)
        if weight.ndim == 3:
            numbers = [int(numbers[0]) for numbers in geometry]
            return nir.Conv1d(int(shape[1]), weight, *numbers, self.groups, bias)
        return nir.Conv2d(tuple(shape[1:]), weight, *geometry, self.groups, bias)


@dataclass(frozen=True)
class Scaling(Form):
    """weight of the shape of what arrives: one weight a value, and no bias."""

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product, value by value."""
        return x * weight

    def bias(self, bias: Tensor) -> Tensor:
        """None: a 0."""
        return bias.sum()

    def rows(self, weight: Tensor) -> Tensor:
        """A row for each value."""
        return weight.reshape(-1, 1)

    def node(self, weight: np.ndarray, bias: np.ndarray, shape: Shape) -> nir.NIRNode:
        """A Scale."""
        return nir.Scale(np.broadcast_to(weight, shape))


class Synapses(nn.Module):
    """Weights and biases in a form: [T, B, *shape] -> [T, B, *shape']."""

    def __init__(self, form: Form, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.form = form
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)


class FloatSynapses(Synapses):
    """In float64. weight, bias: as the form has them; no bias is one of zeros."""

    def __init__(self, form: Form, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(form, weight.double(), torch.zeros(len(weight)) if bias is None else bias.double())
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        return spread(lambda values: self.form.apply(values, self.weight) + self.form.bias(self.bias), x)

    def by_row(self, values: Tensor) -> Tensor | None:
        """Values [*shape'], or of no dimension, as one for each row of the weights; None where they differ in a row."""
        if values.ndim == 0:
            return values
        each = values.reshape(len(values), -1)
        return each[:, 0] if len(values) == len(self.bias) and bool((each == each[:, :1]).all()) else None

    def amplified(self, gain: Tensor) -> FloatSynapses | None:
        """A synapse that gives `gain` times as much, [*shape'] or of no dimension; None where rows cannot."""
        if self.weight.shape == gain.shape and isinstance(self.form, Scaling):
            return FloatSynapses(self.form, self.weight * gain, self.bias)
        rows = self.by_row(gain)
        if rows is None:
            return None
        return FloatSynapses(
            self.form, self.weight * rows.reshape(-1, *(1 for _ in self.weight.shape[1:])), self.bias * rows
        )


class FixedSynapses(Synapses):
    """In integers, exact in float32. weight, bias: int32. adds_bias: without it the neuron adds it itself.

    scale: what 1 of its sums is worth; input_scale: what 1 that arrives is worth.
    """

    def __init__(
        self,
        form: Form,
        weight: Tensor,
        bias: Tensor,
        adds_bias: bool,
        scale: float = 1.0,
        input_scale: float = 1.0,
    ) -> None:
        super().__init__(form, weight.to(torch.int32), bias.to(torch.int32))
        self.adds_bias, self.scale, self.input_scale = adds_bias, scale, input_scale

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        sums = spread(lambda values: integer(self.form.apply(values, self.weight.to(x.dtype))), x)
        return sums + self.form.bias(self.bias).to(x.dtype) if self.adds_bias else sums
