"""The layers without weights that float and fixed networks share, over tensors [T, B, C, H, W]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]


class _StraightThrough(torch.autograd.Function):
    """Forward: the rounded value. Backward: as if nothing had been rounded."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rounded: Tensor) -> Tensor:
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, with the gradient of `value` (the straight-through estimator, Bengio et al., arXiv:1308.3432)."""
    return _StraightThrough.apply(value, rounded) if value.requires_grad else rounded


def integer(sums: Tensor) -> Tensor:
    """Sums of integers, rid of what a fast algorithm (Winograd) may have left beside the integer."""
    return straight_through(sums, sums.detach().round())


def spread(operation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """An operation on images [N, ...] at every time step of x [T, B, ...]; once where an image is shown T times."""
    shown = x[:1] if x.stride(0) == 0 else x
    result = operation(shown.flatten(0, 1)).unflatten(0, shown.shape[:2])
    return result.expand(len(x), *result.shape[1:])


class GroupSum(nn.Module):
    """Sum over the channels of each of `groups` groups: [T, B, C, H, W] -> [T, B, groups, H, W]."""

    def __init__(self, groups: int) -> None:
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


class SelfAttentionProduct(nn.Module):
    """scale * Q K^T V over the tokens of each head, from spikes: three times [T, B, C, H, W] -> [T, B, C, H, W].

    scale times an integer of at most tokens * C / heads, in whatever order it is summed.
    """

    def __init__(self, heads: int, scale: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """K^T V first: its size does not grow with the tokens."""
        q, k, v = (x.flatten(3).unflatten(2, (self.heads, -1)) for x in (query, key, value))
        return (integer((v @ k.transpose(-1, -2)) @ q) * self.scale).reshape(query.shape)


class CurrentPool(nn.Module):
    """Max-pool of currents, padding never wins: [T, B, C, H, W] -> [T, B, C, H', W']."""

    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    @property
    def window(self) -> tuple[int, int, int]:
        """Kernel, stride and padding."""
        return self.kernel, self.stride, self.padding

    def forward(self, x: Tensor) -> Tensor:
        """The largest current of each window."""
        return spread(lambda currents: F.max_pool2d(currents, *self.window), x)


class WindowSum(nn.Module):
    """Sum over windows, times `share`: [T, B, C, H, W] -> [T, B, C, H', W']. Padding counts as 0.

    share: 1, or of an average the part that one value has.
    """

    def __init__(self, kernel: Size, stride: Size, padding: Size, share: float = 1.0) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding, self.share = kernel, stride, padding, share

    @property
    def count(self) -> int:
        """How many values a window has."""
        return self.kernel[0] * self.kernel[1]

    def forward(self, x: Tensor) -> Tensor:
        """The sums of a depthwise convolution of ones, exact for integers."""
        ones = torch.ones(x.shape[2], 1, *self.kernel, dtype=x.dtype, device=x.device)
        sums = spread(lambda maps: F.conv2d(maps, ones, None, self.stride, self.padding, 1, len(ones)), x)
        return sums * self.share if self.share != 1.0 else sums


class Reshape(nn.Module):
    """Another shape for the same values: [T, B, *shape] -> [T, B, *shape']."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """The values in the new shape."""
        return x.reshape(*x.shape[:2], *self.shape)


class Delay(nn.Module):
    """What arrived some steps before, 0 at first: [T, B, *shape] -> [T, B, *shape]. steps: [*shape], or one for all."""

    def __init__(self, steps: Tensor) -> None:
        super().__init__()
        self.steps: Tensor
        self.register_buffer("steps", steps.to(torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """x[t - steps]."""
        times = torch.arange(len(x), device=x.device).view(-1, *(1 for _ in x.shape[2:]))
        wanted = (times - self.steps).broadcast_to(len(x), *x.shape[2:])
        index = wanted.clamp(min=0).unsqueeze(1).expand_as(x)
        return torch.where((wanted >= 0).unsqueeze(1), x.gather(0, index), 0)
