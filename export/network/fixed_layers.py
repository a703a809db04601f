"""The layers of a fixed model: whole numbers in float32 tensors [T, B, C, H, W], exact in any order of summation.

Every value and partial sum stays below 2^24, which float32 (and TF32 or bf16 products accumulated in float32)
represents without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hardware.chip.fixed_point import DECAY_UNITY, FRACTION, FRACTION_BITS, SUM_LIMIT, RangeError
from qkformer import Population


class _StraightThrough(torch.autograd.Function):
    """Forward: the rounded value. Backward: as if nothing had been rounded."""

    @staticmethod
    def forward(ctx, value: Tensor, rounded: Tensor) -> Tensor:
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, with the gradient of `value` (the straight-through estimator, Bengio et al., arXiv:1308.3432)."""
    return _StraightThrough.apply(value, rounded) if value.requires_grad else rounded


def whole(sums: Tensor) -> Tensor:
    """Sums of whole numbers, rid of what a fast algorithm (Winograd) may have left beside the whole number."""
    return straight_through(sums, sums.detach().round())


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """W x + b in whole numbers: [T, B, C_in, H, W] -> [T, B, C_out, H', W']."""
    shown = x[:1] if x.stride(0) == 0 else x  # an image that is shown T times is convolved once
    sums = whole(F.conv2d(shown.flatten(0, 1), weight.to(x.dtype), None, stride, padding))
    sums = (sums + bias.to(x.dtype).view(-1, 1, 1)).unflatten(0, shown.shape[:2])
    return sums.expand(len(x), *sums.shape[1:])


def read_out(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """W (sum of x over tokens) + b in whole numbers: [T, B, C, H, W] -> [T, B, classes]."""
    return whole(F.linear(x.sum((3, 4)), weight.to(x.dtype))) + bias.to(x.dtype)


class FixedConv(nn.Module):
    """Convolution with whole-numbered weights: [T, B, C_in, H, W] -> [T, B, C_out, H', W'].

    weight: int8 [C_out, C_in, height, width]; bias: int32 [C_out].
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]):
        super().__init__()
        self.register_buffer("weight", weight.to(torch.int8))
        self.register_buffer("bias", bias.to(torch.int32))
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        return convolve(x, self.weight, self.bias, self.stride, self.padding)


class GroupSum(nn.Module):
    """Sum over the channels of each of `groups` groups: [T, B, C, H, W] -> [T, B, groups, H, W]."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """One sum a group, token and time step."""
        return x.unflatten(2, (self.groups, -1)).sum(3)


class TokenSum(nn.Module):
    """Sum over all tokens, given to every token: [T, B, C, H, W] -> [T, B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """One sum a channel and time step."""
        return x.sum((3, 4), keepdim=True).expand_as(x)


class FixedLIF(Population):
    """Loihi's integer neuron over [T, B, ...], from rest; the membrane V is held in 1/64.

    V <- toward_zero(V * (4096 - decay) / 4096) + 64 x[t];  spike iff V > 64 threshold (strict), then V <- 0.
    Raises RangeError when |x| or |V| reaches 2^17, where the chip would wrap or saturate.
    """

    def __init__(self, decay: int, threshold: int, name: str = "LIF"):
        super().__init__()
        self.decay, self.threshold, self.name = decay, threshold, name

    def forward(self, x: Tensor) -> Tensor:
        """Whole-numbered currents [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        spikes = torch.empty_like(x)
        for t, (_, fired) in enumerate(self.steps(x)):
            spikes[t] = fired
        return spikes

    def steps(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Each step's membrane before the reset, in 1/64, and where it fires. The reset is done in place after."""
        self._check("sum of inputs", x)
        membrane = torch.zeros_like(x[0], dtype=torch.int64)
        for t, current in enumerate(x):
            kept = torch.div(membrane * (DECAY_UNITY - self.decay), DECAY_UNITY, rounding_mode="trunc")
            membrane = kept + (current.to(torch.int64) << FRACTION_BITS)
            self._check(f"membrane at time step {t}", membrane / FRACTION)
            fired = membrane > self.threshold * FRACTION
            yield membrane, fired
            membrane.masked_fill_(fired, 0)

    def _check(self, what: str, values: Tensor) -> None:
        worst = values.abs().max().item() if values.numel() else 0
        if worst >= SUM_LIMIT:
            raise RangeError(f"{self.name}: {what} reaches {worst:g}, the limit is {SUM_LIMIT}; use smaller weights")

    def extra_repr(self) -> str:
        """The constants, for `print(fixed)`."""
        return f"decay={self.decay}/4096, threshold={self.threshold}"


class Gate(Population):
    """A neuron without memory: 1 where x > threshold, else 0. [T, B, ...] -> [T, B, ...]."""

    def __init__(self, threshold: int = 0):
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Threshold 0 on a sum of spikes is OR; n - 1 on a sum of n spikes is AND."""
        return (x > self.threshold).to(x.dtype)

    def extra_repr(self) -> str:
        """The threshold, for `print(fixed)`."""
        return f"threshold={self.threshold}"


class Mask(Population):
    """Q-K masking: keys [T, B, C, H, W] pass where the spike of their group of channels is 1.

    attention: [T, B, G, H, W], one for each of G groups of C / G channels. The product of two spikes is their AND.
    """

    def forward(self, attention: Tensor, keys: Tensor) -> Tensor:
        """attention x keys, [T, B, C, H, W]."""
        return (keys.unflatten(2, (attention.shape[2], -1)) * attention.unsqueeze(3)).flatten(2, 3)


class SelfAttentionProduct(nn.Module):
    """scale * Q K^T V over the tokens of each head, from spikes: three times [T, B, C, H, W] -> [T, B, C, H, W].

    A whole number of at most scale * tokens * C / heads, in whatever order it is summed.
    """

    def __init__(self, heads: int, scale: int):
        super().__init__()
        self.heads, self.scale = heads, scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """K^T V first: its size does not grow with the tokens."""
        q, k, v = (x.flatten(3).unflatten(2, (self.heads, -1)) for x in (query, key, value))
        return (whole((v @ k.transpose(-1, -2)) @ q) * self.scale).reshape(query.shape)


class CurrentPool(nn.Module):
    """Max-pool of currents, padding never wins: [T, B, C, H, W] -> [T, B, C, H', W'].

    low, high: what the currents cannot leave, from the certificate of the convolution before.
    """

    def __init__(self, kernel: int, stride: int, padding: int, low: int, high: int):
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        """The largest current of each window."""
        return F.max_pool2d(x.flatten(0, 1), self.kernel, self.stride, self.padding).unflatten(0, x.shape[:2])


class SpikePool(Population):
    """Max-pool of spikes, the OR of each window: [T, B, C, H, W] -> [T, B, C, H', W']."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]):
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """1 where any spike of the window is."""
        return F.max_pool2d(x.flatten(0, 1), self.kernel, self.stride, self.padding).unflatten(0, x.shape[:2])


class Readout(Population):
    """The head: sum over tokens, then a whole-numbered affine map, at each time step.

    [T, B, C, H, W] -> [T, B, classes]. weight: int8 [classes, C]; bias: int32 [classes].
    """

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("weight", weight.to(torch.int8))
        self.register_buffer("bias", bias.to(torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        return read_out(x, self.weight, self.bias)
