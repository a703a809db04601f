"""Q-K attention in plain PyTorch: what the kernels are held against, and what computes where there are none."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .lif_reference import SURROGATE_ALPHA, charge, gain_of, membrane_dtype, multi_step
from .lif_reference import spike as surrogate_spike


def qk_attention_reference(
    q: Tensor,
    k: Tensor,
    heads: int | None,
    tau: float | None = 2.0,
    v_threshold: float = 1.0,
    attention_threshold: float = 0.5,
    alpha: float = SURROGATE_ALPHA,
    spike: Callable[[Tensor, float], Tensor] = surrogate_spike,
) -> Tensor:
    """`token_attention` of so many heads, or `channel_attention` (None), from the three neurons one after another.

    `spike` gives what is emitted for v - v_threshold and alpha; with a sigmoid in place of the step, finite differences
    can check the gradient, see `multi_step`.
    """

    def neuron(x: Tensor, threshold: float) -> Tensor:
        return multi_step(x, lambda v, x: charge(v, x, gain_of(tau)), threshold, lambda x: spike(x, alpha))

    queries = neuron(q, v_threshold).to(membrane_dtype(q.dtype))  # their sums may pass what a half can count to
    sums = queries.sum((3, 4), keepdim=True) if heads is None else queries.unflatten(2, (heads, -1)).sum(3)
    attention = neuron(sums, attention_threshold).to(k.dtype)
    keys = neuron(k, v_threshold).unflatten(2, (attention.shape[2], -1))
    return (keys * attention.unsqueeze(3)).flatten(2, 3)
