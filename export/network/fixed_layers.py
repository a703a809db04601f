"""The layers of a fixed model: integers in float32 tensors [T, B, C, H, W], exact in any order of summation.

Every value and partial sum stays below 2^24, which float32 (and TF32 or bf16 products accumulated in float32)
represents without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hardware.chip import LOIHI_2, Chip
from hardware.errors import RangeError
from qkformer import Population

from .layers import CurrentPool, Size, integer, spread


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: Size, padding: Size) -> Tensor:
    """W x + b in integers: [T, B, C_in, H, W] -> [T, B, C_out, H', W']."""
    bias = bias.to(x.dtype).view(-1, 1, 1)
    return spread(lambda images: integer(F.conv2d(images, weight.to(x.dtype), None, stride, padding)) + bias, x)


def read_out(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W (sum of x over tokens) + b in integers: [T, B, C, H, W] -> [T, B, classes]."""
    return integer(F.linear(x.sum((3, 4)), weight.to(x.dtype))) + bias.to(x.dtype)


class FixedConv(nn.Module):
    """Convolution with integer weights: [T, B, C_in, H, W] -> [T, B, C_out, H', W'].

    weight: int8 [C_out, C_in, height, width]; bias: int32 [C_out].
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: Size, padding: Size) -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight.to(torch.int8))
        self.register_buffer("bias", bias.to(torch.int32))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        return convolve(x, self.weight, self.bias, self.stride, self.padding)


class FixedLIF(Population):
    """The chip's integer neuron over [T, B, ...], from rest; Loihi 2 holds the membrane V in 1/64, its decay in 1/4096.

    V <- toward_zero(V * (decay_unity - decay) / decay_unity) + fraction * x[t];  spike iff V > fraction * threshold
    (strict), then V <- 0. Raises RangeError when |x| or |V| reaches the chip's limit, where it would wrap or saturate.
    """

    def __init__(self, decay: int, threshold: int, name: str = "LIF", chip: Chip = LOIHI_2) -> None:
        super().__init__()
        self.decay, self.threshold, self.name, self.chip = decay, threshold, name, chip

    def forward(self, x: Tensor) -> Tensor:
        """Integer currents [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        spikes = torch.empty_like(x)
        for t, (_, fired) in enumerate(self.steps(x)):
            spikes[t] = fired
        return spikes

    def steps(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Each step's membrane before the reset, in the chip's fractions, and where it fires.

        The reset is done in place after.
        """
        chip = self.chip
        self._check("sum of inputs", x)
        membrane = torch.zeros_like(x[0], dtype=torch.int64)
        for t, current in enumerate(x):
            kept = torch.div(membrane * (chip.decay_unity - self.decay), chip.decay_unity, rounding_mode="trunc")
            membrane = kept + (current.to(torch.int64) << chip.fraction_bits)
            self._check(f"membrane at time step {t}", membrane / chip.fraction)
            fired = membrane > self.threshold * chip.fraction
            yield membrane, fired
            membrane.masked_fill_(fired, 0)

    def _check(self, what: str, values: Tensor) -> None:
        worst, limit = values.abs().max().item() if values.numel() else 0, self.chip.sum_limit
        if worst >= limit:
            raise RangeError(f"{self.name}: {what} reaches {worst:g}, the limit is {limit}; use smaller weights")

    def extra_repr(self) -> str:
        """The constants, for `print(fixed)`."""
        return f"decay={self.decay}/{self.chip.decay_unity}, threshold={self.threshold}"


class Gate(Population):
    """A neuron without memory: 1 where x > threshold, else 0. [T, B, ...] -> [T, B, ...]."""

    def __init__(self, threshold: int = 0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Threshold 0 on a sum of spikes is OR; n - 1 on a sum of n spikes is AND."""
        return (x > self.threshold).to(x.dtype)

    def extra_repr(self) -> str:
        """The threshold, for `print(fixed)`."""
        return f"threshold={self.threshold}"


class FixedCurrentPool(CurrentPool):
    """Max-pool of integer currents that cannot leave low .. high, as the certificate of their convolution says."""

    def __init__(self, kernel: int, stride: int, padding: int, low: int, high: int) -> None:
        super().__init__(kernel, stride, padding)
        self.low, self.high = low, high


class Readout(Population):
    """The head: sum over tokens, then an integer affine map, at each time step.

    [T, B, C, H, W] -> [T, B, classes]. weight: int8 [classes, C]; bias: int32 [classes].
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight.to(torch.int8))
        self.register_buffer("bias", bias.to(torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        return read_out(x, self.weight, self.bias)
