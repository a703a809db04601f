"""Leaky integrate and fire over all time steps in one operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .backend import KernelError, resolve_backend
from .layout import in_steps
from .lif_reference import SURROGATE_ALPHA, lif_reference


def check_currents(x: Tensor, tau: float | None) -> None:
    """Raise KernelError unless there are time steps, and tau is None or at least 1."""
    if x.ndim == 0 or x.shape[0] == 0:
        raise KernelError(f"currents are [T, ...] with T >= 1; got {list(x.shape)}")
    if tau is not None and not tau >= 1:
        raise KernelError(f"tau is {tau}; it must be at least 1 time step")


def lif(
    x: Tensor,
    tau: float | None = 2.0,
    v_threshold: float = 1.0,
    alpha: float = SURROGATE_ALPHA,
    backend: str = "auto",
) -> Tensor:
    """Currents [T, ...] -> spikes [T, ...] of the same dtype, each 0 or 1; v is 0 before the first step.

    For each t:  v <- v + (x[t] - v) / tau;  spike iff v >= v_threshold;  v <- 0 on a spike.
    The membrane v is float32 (float64 for float64, which PyTorch computes). The backend changes no spike.
    Gradient: that of sigmoid(alpha (v - v_threshold)) in place of the spike's; the reset is not differentiated.

    Args:
        x: any trailing shape, any strides.
        tau: time constant in time steps, at least 1; None: no leak, v <- v + x[t].
        v_threshold: where the membrane spikes.
        alpha: steepness of the surrogate gradient.
        backend: `auto`, `torch` or `triton`, see `resolve_backend`.

    Raises:
        KernelError: no time step, tau below 1, or a backend that cannot compute x.

    Source: MultiStepLIFNode and MultiStepIFNode of spikingjelly 0.0.0.0.12 with decay_input, v_reset = 0, detach_reset.
    """
    check_currents(x, tau)
    if resolve_backend(backend, x) == "torch":
        return lif_reference(x, tau, v_threshold, alpha)
    return lif_forward(x, tau, v_threshold, alpha)


@torch.library.custom_op("qkformer::lif", mutates_args=())
def lif_forward(x: Tensor, tau: float | None, v_threshold: float, alpha: float) -> Tensor:
    """`lif` by its kernel."""
    from .lif_triton import forward

    return forward(in_steps(x), tau, v_threshold)


@torch.library.custom_op("qkformer::lif_backward", mutates_args=())
def lif_backward(grad: Tensor, x: Tensor, tau: float | None, v_threshold: float, alpha: float) -> Tensor:
    """The gradient of x, given x and the gradient of its spikes, both [T, ...]."""
    from .lif_triton import backward

    return backward(grad, in_steps(x), tau, v_threshold, alpha)


@lif_forward.register_fake
def _(x: Tensor, tau: float | None, v_threshold: float, alpha: float) -> Tensor:
    return torch.empty_like(in_steps(x))


@lif_backward.register_fake
def _(grad: Tensor, x: Tensor, tau: float | None, v_threshold: float, alpha: float) -> Tensor:
    return torch.empty_like(in_steps(x))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.constants = inputs
    ctx.save_for_backward(x)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return lif_backward(grad, *ctx.saved_tensors, *ctx.constants), None, None, None


lif_forward.register_autograd(_differentiate, setup_context=_keep)
