"""The weighted layers of a float network, in float64 tensors [T, B, C, H, W]; its neurons are qkformer's."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Size, spread


class Convolution(nn.Module, ABC):
    """W x + b of one or the other origin: [T, B, C_in, H, W] -> [T, B, C_out, H', W']."""

    def __init__(self, stride: Size, padding: Size) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding

    @abstractmethod
    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """W [C_out, C_in, height, width] and b [C_out], float64. Raises InputError where one is NaN or infinite."""

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        weight, bias = self.weight_and_bias()
        return spread(lambda images: F.conv2d(images, weight, bias, self.stride, self.padding), x)


class FloatConv(Convolution):
    """A convolution with given weight and bias, such as those that a BatchNorm was folded into."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: Size, padding: Size) -> None:
        super().__init__(stride, padding)
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight.double())
        self.register_buffer("bias", bias.double())

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """What was given."""
        return self.weight, self.bias


class Head(nn.Module, ABC):
    """W (sum of x over tokens) + b at each time step: [T, B, C, H, W] -> [T, B, classes]."""

    @abstractmethod
    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """W [classes, C] and b [classes], float64. Raises InputError where one is NaN or infinite."""

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        return F.linear(x.sum((3, 4)), *self.weight_and_bias())


class FloatHead(Head):
    """A head with given weight and bias."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight.double())
        self.register_buffer("bias", bias.double())

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """What was given."""
        return self.weight, self.bias
