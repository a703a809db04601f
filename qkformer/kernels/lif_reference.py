"""The neurons over time in plain PyTorch: what the kernels are held against, and what computes where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SURROGATE_ALPHA = 4.0  # spikingjelly's default, with which every published model was trained


class _Spike(torch.autograd.Function):
    """Forward: 1 where x >= 0. Backward: the slope of sigmoid(alpha x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        sigmoid = torch.sigmoid(ctx.alpha * x)
        return gradient * ctx.alpha * sigmoid * (1 - sigmoid), None


def spike(x: Tensor, alpha: float = SURROGATE_ALPHA) -> Tensor:
    """1 where x >= 0, else 0; its gradient is that of sigmoid(alpha x)."""
    return _Spike.apply(x, alpha)


def charge(v: Tensor, x: Tensor, gain: float | Tensor | None) -> Tensor:
    """The membrane v after input x: v + (x - v) * gain; v + x where gain is None, without a leak.

    gain = 1 / tau is multiplied by: PyTorch divides by tau on a CPU, and multiplies by its reciprocal on a GPU.
    """
    return v + x if gain is None else v + (x - v) * gain


def gain_of(tau: float | None) -> float | None:
    """The share of a current that arrives, 1 / tau; None without a leak."""
    return None if tau is None else 1.0 / tau


def membrane_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which currents of a dtype are added up: at least float32."""
    return torch.promote_types(dtype, torch.float32)


def multi_step(
    x: Tensor,
    charge: Callable[[Tensor, Tensor], Tensor],
    v_threshold: float,
    spike: Callable[[Tensor], Tensor] = spike,
) -> Tensor:
    """Currents [T, ...] -> spikes [T, ...]; the membrane v is 0 before the first step.

    For each t:  v <- charge(v, x[t]);  spike iff v >= v_threshold;  v <- 0 on a spike.
    The reset is not differentiated (`detach_reset` in spikingjelly).

    Args:
        x: float64, or any smaller floating dtype; then the membrane is float32.
        charge: the membrane after an input.
        v_threshold: where the membrane spikes.
        spike: what is emitted, given v - v_threshold. With a sigmoid in place of the step, the gradient of what this
            function computes is the surrogate gradient, so that finite differences can check it.
    """
    v = torch.zeros_like(x[0], dtype=membrane_dtype(x.dtype))
    spikes = []
    for current in x:
        v = charge(v, current.to(v.dtype))
        spikes.append(spike(v - v_threshold).to(x.dtype))
        v = v.masked_fill(v.detach() >= v_threshold, 0.0)
    return torch.stack(spikes)


def lif_reference(
    x: Tensor, tau: float | None = 2.0, v_threshold: float = 1.0, alpha: float = SURROGATE_ALPHA
) -> Tensor:
    """`kernels.lif` as a loop over time."""
    return multi_step(x, lambda v, x: charge(v, x, gain_of(tau)), v_threshold, lambda x: spike(x, alpha))
