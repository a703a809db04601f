"""How tensors of time steps lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def in_steps(x: Tensor) -> Tensor:
    """x [T, ...], copied unless its time steps follow one another in memory, each without gaps.

    Within a step the dimensions may be in any order, so that channels_last stays what it is.
    """
    expected = 1
    dimensions = [*sorted(zip(x.stride()[1:], x.shape[1:], strict=True)), (x.stride(0), x.shape[0])]
    for stride, size in dimensions:
        if size != 1 and stride != expected:
            return x.contiguous()
        expected *= size
    return x


def laid_out_as(y: Tensor, x: Tensor) -> Tensor:
    """y, copied unless its elements lie in memory in the order of those of x, which is of the same shape."""
    return y if y.stride() == x.stride() else torch.empty_like(x, dtype=y.dtype).copy_(y)
