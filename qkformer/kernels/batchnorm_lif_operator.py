"""BatchNorm in evaluation mode and LIF as one operation: the normalized currents are never in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from .backend import KernelError, resolve_backend
from .batchnorm_lif_reference import batchnorm_lif_reference
from .layout import in_steps
from .lif_operator import check_currents


def batchnorm_lif(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    tau: float | None = 2.0,
    v_threshold: float = 1.0,
    backend: str = "auto",
) -> Tensor:
    """Outputs of a convolution [T, B, C, ...] -> spikes [T, B, C, ...] of the same dtype: lif(x * scale + shift).

    For inference: it has no gradient. Product and sum are rounded to float32 one by one, so the backend changes no
    spike. `torch.batch_norm` rounds otherwise (and its output to the dtype of x): a membrane that comes within that
    rounding of the threshold may spike in one and not in the other.

    Args:
        x: any strides.
        scale: [C] float32, see `scale_and_shift`.
        shift: [C] float32.
        tau: time constant in time steps, at least 1; None: no leak.
        v_threshold: a neuron fires where v >= v_threshold.
        backend: `auto`, `torch` or `triton`, see `resolve_backend`.

    Raises:
        KernelError: shapes that do not fit, tau below 1, or a backend that cannot compute x.
    """
    check_currents(x, tau)
    if x.ndim < 3 or not scale.shape == shift.shape == x.shape[2:3]:
        shapes = f"{list(x.shape)}, {list(scale.shape)} and {list(shift.shape)}"
        raise KernelError(f"x, scale and shift are [T, B, C, ...], [C] and [C]; got {shapes}")
    if resolve_backend(backend, x) == "torch":
        return batchnorm_lif_reference(x, scale, shift, tau, v_threshold)
    return batchnorm_lif_forward(x, scale.float(), shift.float(), tau, v_threshold)


@torch.library.custom_op("qkformer::batchnorm_lif", mutates_args=())
def batchnorm_lif_forward(x: Tensor, scale: Tensor, shift: Tensor, tau: float | None, v_threshold: float) -> Tensor:
    """`batchnorm_lif` by its kernel."""
    from .batchnorm_lif_triton import forward

    return forward(in_steps(x), scale, shift, tau, v_threshold)


@batchnorm_lif_forward.register_fake
def _(x: Tensor, scale: Tensor, shift: Tensor, tau: float | None, v_threshold: float) -> Tensor:
    return torch.empty_like(in_steps(x))
