"""The kernels of `lif`: each program runs a block of neurons through all time steps.

Only x is kept for the backward, which computes the membranes once more: the slope of the surrogate needs the membrane,
so spikes alone, packed to bits or not, would not do. Bytes moved, for an x of n bytes:

    kept            forward                 backward                      float32   bfloat16
    x               read x, write spikes    read x and gradient, write    5 n       5 n
    float32 membrane   and write membrane   read it and gradient, write   6 n       8 n

Membranes are held in registers, `CHUNK` time steps at a time. With more steps than that the backward first runs
through all chunks, noting the membrane at the start of each, then walks them in reverse: it reads x twice.
Which costs less time on a GPU is not yet measured; the bytes say that this does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .layout import laid_out_as
from .lif_reference import gain_of
from .steps import LAUNCH, as_spikes, charge, fire, reset, step_backward, tl, triton

CHUNK = 16  # time steps at a time
WARPS = 4
VECTOR_BYTES = 16  # the widest load of a thread: the neurons it runs
CROWDED = 8  # with more time steps a thread holds too many membranes of 8 neurons, and runs 4


@triton.jit
def time_step(t, T, N, neuron, WHOLE: tl.constexpr):
    """Where the block's neurons are at step t of [T, N], and which of them are there: none beyond T."""
    at = t * N + neuron
    return at, neuron < N if WHOLE else (neuron < N) & (at < T * N)


@triton.jit
def read_chunk(x, t, T, N, neuron, STEPS: tl.constexpr, WHOLE: tl.constexpr):
    """STEPS time steps from t on, as a tuple; 0 beyond T. All are asked for before the first is waited for."""
    steps = ()
    for i in tl.static_range(STEPS):
        at, inside = time_step(t + i, T, N, neuron, WHOLE)
        steps = steps + (tl.load(x + at, mask=inside, other=0.0),)  # noqa: RUF005 - Triton knows no *
    return steps


@triton.jit
def forward_kernel(
    x, spikes, T, N, chunks, gain, v_threshold,
    LEAKY: tl.constexpr, STEPS: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x, spikes [T, N]; chunks of STEPS time steps, the last of them whole or not."""
    N = tl.cast(N, tl.int64)
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.zeros([BLOCK], tl.float32)
    for chunk in range(chunks):
        t = chunk * STEPS
        currents = read_chunk(x, t, T, N, neuron, STEPS, WHOLE)
        for i in tl.static_range(STEPS):
            h = charge(v, currents[i].to(tl.float32), gain, LEAKY)
            fired = fire(h, v_threshold)
            at, inside = time_step(t + i, T, N, neuron, WHOLE)
            tl.store(spikes + at, as_spikes(fired).to(spikes.dtype.element_ty), mask=inside)
            v = reset(h, fired)


@triton.jit
def backward_kernel(
    x, grad_spikes, grad_x, starts, T, N, chunks, gain, v_threshold, alpha,
    LEAKY: tl.constexpr, STEPS: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x, grad_spikes, grad_x [T, N]; starts [chunks, N] float32, scratch for the membrane before each chunk."""
    N = tl.cast(N, tl.int64)
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.zeros([BLOCK], tl.float32)
    for chunk in range(chunks - 1):
        tl.store(starts + chunk * N + neuron, v, mask=neuron < N)
        currents = read_chunk(x, chunk * STEPS, T, N, neuron, STEPS, True)
        for i in tl.static_range(STEPS):
            h = charge(v, currents[i].to(tl.float32), gain, LEAKY)
            v = reset(h, fire(h, v_threshold))
    tl.debug_barrier()  # starts are read by whichever thread
    grad_v = tl.zeros([BLOCK], tl.float32)
    for later in range(chunks):
        chunk = chunks - 1 - later
        t = chunk * STEPS
        if later > 0:
            v = tl.load(starts + chunk * N + neuron, mask=neuron < N)
        currents = read_chunk(x, t, T, N, neuron, STEPS, WHOLE)
        grads = read_chunk(grad_spikes, t, T, N, neuron, STEPS, WHOLE)
        membranes = ()
        for i in tl.static_range(STEPS):
            h = charge(v, currents[i].to(tl.float32), gain, LEAKY)
            v = reset(h, fire(h, v_threshold))
            membranes = membranes + (h,)  # noqa: RUF005
        for i in tl.static_range(STEPS - 1, -1, -1):
            grad_spike = grads[i].to(tl.float32)  # 0 beyond T, where grad_v is still 0
            grad_v, grad = step_backward(membranes[i], grad_spike, grad_v, v_threshold, alpha, gain, LEAKY)
            at, inside = time_step(t + i, T, N, neuron, WHOLE)
            tl.store(grad_x + at, grad.to(grad_x.dtype.element_ty), mask=inside)


def _sizes(x: Tensor, tau: float | None) -> tuple[tuple[int, int, int], float, dict[str, object]]:
    """(T, N, chunks), gain, and the constants that all kernels share."""
    T, steps = x.shape[0], min(x.shape[0], CHUNK)
    constants = {"LEAKY": tau is not None, "STEPS": steps, "WHOLE": T % steps == 0, "num_warps": WARPS, **LAUNCH}
    return (T, x.numel() // T, -(-T // steps)), gain_of(tau) or 1.0, constants


def launch_forward(kernel, x: Tensor, further: tuple, tau: float | None, v_threshold: float) -> Tensor:
    """The spikes of currents [T, ...] that lie `in_steps`, by a kernel that takes `further` arguments after both."""
    spikes = torch.empty_like(x)
    if x.numel():
        sizes, gain, constants = _sizes(x, tau)
        block = 32 * WARPS * VECTOR_BYTES // x.element_size()
        with torch.cuda.device_of(x):
            grid = (triton.cdiv(sizes[1], block),)
            kernel[grid](x, spikes, *further, *sizes, gain, v_threshold, BLOCK=block, **constants)
    return spikes


def forward(x: Tensor, tau: float | None, v_threshold: float) -> Tensor:
    """The spikes of currents [T, ...] that lie `in_steps`."""
    return launch_forward(forward_kernel, x, (), tau, v_threshold)


def backward(grad: Tensor, x: Tensor, tau: float | None, v_threshold: float, alpha: float) -> Tensor:
    """The gradient of currents [T, ...] that lie `in_steps`, given that of their spikes."""
    grad, grad_x = laid_out_as(grad, x), torch.empty_like(x)
    if x.numel():
        sizes, gain, constants = _sizes(x, tau)
        _, N, chunks = sizes
        starts = x.new_empty((chunks if chunks > 1 else 0, N), dtype=torch.float32)
        neurons = VECTOR_BYTES // x.element_size() if constants["STEPS"] <= CROWDED else 4
        block = 32 * WARPS * neurons
        with torch.cuda.device_of(x):
            grid = (triton.cdiv(N, block),)
            backward_kernel[grid](x, grad, grad_x, starts, *sizes, gain, v_threshold, alpha, BLOCK=block, **constants)
    return grad_x
