"""Q-K attention after its two projections, as one operation: three populations of neurons, a sum and a mask."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .backend import KernelError, resolve_backend
from .layout import laid_out_as
from .lif_operator import check_currents
from .lif_reference import SURROGATE_ALPHA
from .qk_attention_reference import qk_attention_reference

MAX_STEPS = 32  # of the kernels, which hold the attention's spikes as the bits of an int32
MAX_SAMPLE = 2**31 - 1  # C H W of the kernels, whose offsets within a sample are int32


def token_attention(
    q: Tensor,
    k: Tensor,
    heads: int,
    *,
    tau: float | None = 2.0,
    v_threshold: float = 1.0,
    attention_threshold: float = 0.5,
    alpha: float = SURROGATE_ALPHA,
    backend: str = "auto",
) -> Tensor:
    """Currents of queries and keys [T, B, C, H, W] -> spikes [T, B, C, H, W] of the keys whose tokens matter.

    Q = LIF(q), K = LIF(k), A = LIF(sum of Q over the channels of each head) [T, B, heads, H, W]; the result is A x K,
    A broadcast over the channels of its head. Every LIF, the sums included, is that of `kernels.lif`, with a membrane
    of float32 (float64 for float64). The backend changes no spike.

    Args:
        q: float32, bfloat16, float16 or (in PyTorch) float64; any strides, best contiguous or channels_last.
        k: of the shape, dtype and device of q.
        heads: a divisor of C; head h has channels h C / heads to (h + 1) C / heads - 1.
        tau: time constant of all three populations in time steps, at least 1; None: no leak.
        v_threshold: of queries and keys; a neuron fires where v >= its threshold.
        attention_threshold: of A.
        alpha: steepness of the surrogate gradient.
        backend: `auto`, `torch` or `triton`, see `resolve_backend`. Beyond MAX_STEPS time steps or
            MAX_SAMPLE currents of one sample `auto` is `torch`.

    Raises:
        KernelError: inputs that do not fit, or a backend that cannot compute them.

    Source: QKFormer, arXiv:2403.16552; Token_QK_Attention in cifar10/model.py of its code.
    """
    _check_inputs(q, k, tau)
    if heads < 1 or q.shape[2] % heads:
        raise KernelError(f"heads is {heads}; it must divide the channels, of which there are {q.shape[2]}")
    return _attend(backend, q, k, heads, tau, v_threshold, attention_threshold, alpha)


def channel_attention(
    q: Tensor,
    k: Tensor,
    *,
    tau: float | None = 2.0,
    v_threshold: float = 1.0,
    attention_threshold: float = 0.5,
    alpha: float = SURROGATE_ALPHA,
    backend: str = "auto",
) -> Tensor:
    """Currents of queries and keys [T, B, C, H, W] -> spikes [T, B, C, H, W] of the keys whose channels matter.

    As `token_attention`, but A = LIF(sum of Q over all tokens) [T, B, C, 1, 1], broadcast over the tokens.

    Raises:
        KernelError: inputs that do not fit, or a backend that cannot compute them.

    Source: QKFormer, arXiv:2403.16552; its code has no channel attention.
    """
    _check_inputs(q, k, tau)
    return _attend(backend, q, k, None, tau, v_threshold, attention_threshold, alpha)


def _check_inputs(q: Tensor, k: Tensor, tau: float | None) -> None:
    check_currents(q, tau)
    if q.ndim != 5:
        raise KernelError(f"queries are [T, B, C, H, W]; got {list(q.shape)}")
    for name in ("shape", "dtype", "device"):
        if (of_q := getattr(q, name)) != (of_k := getattr(k, name)):
            raise KernelError(f"queries and keys must be of one {name}; got {of_q} and {of_k}")


def _beyond_kernels(q: Tensor) -> str | None:
    """Which limit of the kernels q is beyond, if any."""
    if q.shape[0] > MAX_STEPS:
        return f"at most {MAX_STEPS} time steps; got {q.shape[0]}"
    if (size := math.prod(q.shape[2:])) > MAX_SAMPLE:
        return f"at most {MAX_SAMPLE} currents per sample and time step; got {size}"
    return None


def _attend(
    backend: str,
    q: Tensor,
    k: Tensor,
    heads: int | None,
    tau: float | None,
    v_threshold: float,
    attention_threshold: float,
    alpha: float,
) -> Tensor:
    """Token attention of so many heads, or channel attention (None), by a backend."""
    chosen = resolve_backend(backend, q)
    if chosen == "triton" and (beyond := _beyond_kernels(q)):
        if backend == "triton":
            raise KernelError(f'backend "triton" computes Q-K attention of {beyond}: choose backend "torch"')
        chosen = "torch"
    if chosen == "torch":
        return qk_attention_reference(q, k, heads, tau, v_threshold, attention_threshold, alpha)
    return qk_attention(q, k, heads, tau, v_threshold, attention_threshold, alpha)[0]


def in_planes(x: Tensor) -> Tensor:
    """x [T, B, C, H, W], copied unless it lies in memory in that order, or as channels_last: in [T, B, H, W, C]."""
    return x if x.is_contiguous() or x.permute(0, 1, 3, 4, 2).is_contiguous() else x.contiguous()


@torch.library.custom_op("qkformer::qk_attention", mutates_args=())
def qk_attention(
    q: Tensor,
    k: Tensor,
    heads: int | None,
    tau: float | None,
    v_threshold: float,
    attention_threshold: float,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """The spikes, and the sums of query spikes (int32 [T, B, heads, H, W] or [T, B, C, 1, 1]), by the kernels."""
    from .qk_attention_triton import forward

    q = in_planes(q)
    return forward(q, laid_out_as(k, q), heads, tau, v_threshold, attention_threshold)


@torch.library.custom_op("qkformer::qk_attention_backward", mutates_args=())
def qk_attention_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    sums: Tensor,
    heads: int | None,
    tau: float | None,
    v_threshold: float,
    attention_threshold: float,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """The gradients of q and k, given that of the spikes."""
    from .qk_attention_triton import backward

    q = in_planes(q)
    grad, k = laid_out_as(grad, q), laid_out_as(k, q)
    return backward(grad, q, k, sums, heads, tau, v_threshold, attention_threshold, alpha)


@qk_attention.register_fake
def _(
    q: Tensor,
    k: Tensor,
    heads: int | None,
    tau: float | None,
    v_threshold: float,
    attention_threshold: float,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    T, B, C, H, W = q.shape
    shape = (T, B, C, 1, 1) if heads is None else (T, B, heads, H, W)
    return torch.empty_like(in_planes(q)), q.new_empty(shape, dtype=torch.int32)


@qk_attention_backward.register_fake
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    sums: Tensor,
    heads: int | None,
    tau: float | None,
    v_threshold: float,
    attention_threshold: float,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(in_planes(q)), torch.empty_like(in_planes(q))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, *ctx.constants = inputs
    ctx.save_for_backward(q, k, output[1])


def _differentiate(ctx: Any, grad: Tensor, grad_sums: Tensor) -> tuple[Tensor | None, ...]:
    return *qk_attention_backward(grad, *ctx.saved_tensors, *ctx.constants), *[None] * len(ctx.constants)


qk_attention.register_autograd(_differentiate, setup_context=_keep)
