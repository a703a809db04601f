"""The kernels of Q-K attention, token and channel attention alike.

Both sum query spikes along one axis and keep another: token attention sums over the channels of a head and keeps the
tokens, channel attention sums over the tokens and keeps the channels. With a stride for either axis they are one
kernel. A program owns a block of the kept axis of one head of one sample, so that it sees whole sums, and goes along
the summed axis in tiles [KEPT, SUMMED]. All T time steps of a tile are in registers, as tuples of T blocks.

Beside q and k only the sums of query spikes are kept for the backward. Bytes moved, for a q of n bytes:

    forward     read q and k, write spikes                                                3 n
    backward    read q, twice k and the gradient of the spikes, write those of q and k    7 n

The gradient of the attention needs all keys of a program, so the second reading can be spared only by a cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .lif_reference import gain_of
from .steps import LAUNCH, as_spikes, charge, fire, reset, step_backward, tl, triton

WARPS = 4  # of 32 threads
ELEMENTS = 4  # of a tile per thread: 16 bytes of float32, the widest load there is
CURRENTS = 32  # per thread, elements times time steps: what does not spill on sm_90
COALESCED = 32  # neighbours in memory that are worth reading together: 128 bytes of float32


@triton.jit
def place(kept, groups, group_stride, sample_size, KEPT: tl.constexpr):
    """Which group (a head of a sample), where it begins in memory, and which rows of its kept axis."""
    blocks = tl.cdiv(kept, KEPT)
    group = tl.program_id(0) // blocks
    rows = tl.program_id(0) % blocks * KEPT + tl.arange(0, KEPT)
    begin = (group // groups).to(tl.int64) * sample_size + group % groups * group_stride
    return group.to(tl.int64), begin, rows


@triton.jit
def tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED: tl.constexpr):
    """The elements of the tile at `start`, and which of them are there."""
    columns = start + tl.arange(0, SUMMED)
    elements = rows[:, None] * kept_stride + columns[None, :] * summed_stride
    return elements, (rows < kept)[:, None] & (columns < summed)[None, :]


@triton.jit
def read(x, elements, inside, step_size, T: tl.constexpr):
    """All time steps of some elements; 0 where there is none. All are asked for before the first is waited for."""
    steps = ()
    for t in tl.static_range(T):
        steps += (tl.load(x + t * step_size + elements, mask=inside, other=0.0).to(tl.float32),)
    return steps


@triton.jit
def membranes(currents, gain, v_threshold, LEAKY: tl.constexpr, T: tl.constexpr):
    """The membranes of all time steps, each before its reset."""
    v = tl.zeros_like(currents[0])
    charged = ()
    for t in tl.static_range(T):
        h = charge(v, currents[t], gain, LEAKY)
        v = reset(h, fire(h, v_threshold))
        charged += (h,)
    return charged


@triton.jit
def zeros(KEPT: tl.constexpr, SUMMED: tl.constexpr, T: tl.constexpr):
    """A tile of zeros for every time step."""
    steps = ()
    for _ in tl.static_range(T):
        steps += (tl.zeros([KEPT, SUMMED], tl.float32),)
    return steps


@triton.jit
def attention_bits(h, v_threshold, T: tl.constexpr):
    """The attention's spikes, those of time step t in bit t: one register instead of T."""
    bits = tl.zeros(h[0].shape, tl.int32)
    for t in tl.static_range(T):
        bits |= fire(h[t], v_threshold).to(tl.int32) << t
    return bits


@triton.jit
def passes(bits, t):
    """Whether the attention fired at time step t, to be broadcast along the summed axis."""
    return ((bits >> t) & 1 == 1)[:, None]


@triton.jit
def write_gradients(
    to, elements, inside, step_size, h, grad_spikes, gain, v_threshold, alpha, LEAKY: tl.constexpr, T: tl.constexpr
):
    """The gradients of the currents that led to membranes h, from those of the spikes."""
    grad_v = tl.zeros_like(h[0])
    for t in tl.static_range(T - 1, -1, -1):
        grad_v, grad = step_backward(h[t], grad_spikes[t], grad_v, v_threshold, alpha, gain, LEAKY)
        tl.store(to + t * step_size + elements, grad.to(to.dtype.element_ty), mask=inside)


@triton.jit
def forward_kernel(
    q, k, spikes, sums, gain, v_threshold, attention_threshold,
    samples, sample_size, groups, group_stride, kept, kept_stride, summed, summed_stride,
    LEAKY: tl.constexpr, T: tl.constexpr, KEPT: tl.constexpr, SUMMED: tl.constexpr,
):  # fmt: skip
    """q, k, spikes [T, samples, groups, kept, summed] with these strides; sums [T, samples, groups, kept] int32."""
    step_size = tl.cast(samples, tl.int64) * sample_size
    group, begin, rows = place(kept, groups, group_stride, sample_size, KEPT)
    totals = zeros(KEPT, SUMMED, T)
    for start in range(0, summed, SUMMED):
        elements, inside = tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED)
        h = membranes(read(q + begin, elements, inside, step_size, T), gain, v_threshold, LEAKY, T)
        added = ()
        for t in tl.static_range(T):
            added += (totals[t] + as_spikes(fire(h[t], v_threshold) & inside),)
        totals = added

    currents = ()
    for t in tl.static_range(T):
        total = tl.sum(totals[t], axis=1)
        to = sums + (tl.cast(samples, tl.int64) * groups * t + group) * kept + rows
        tl.store(to, total.to(tl.int32), mask=rows < kept)
        currents += (total,)
    attention = attention_bits(membranes(currents, gain, attention_threshold, LEAKY, T), attention_threshold, T)

    for start in range(0, summed, SUMMED):
        elements, inside = tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED)
        h = membranes(read(k + begin, elements, inside, step_size, T), gain, v_threshold, LEAKY, T)
        for t in tl.static_range(T):
            fired = as_spikes(fire(h[t], v_threshold) & passes(attention, t))
            tl.store(spikes + begin + t * step_size + elements, fired.to(spikes.dtype.element_ty), mask=inside)


@triton.jit
def backward_kernel(
    grad_spikes, q, k, sums, grad_q, grad_k, gain, v_threshold, attention_threshold, alpha,
    samples, sample_size, groups, group_stride, kept, kept_stride, summed, summed_stride,
    LEAKY: tl.constexpr, T: tl.constexpr, KEPT: tl.constexpr, SUMMED: tl.constexpr,
):  # fmt: skip
    """First the gradient of the attention, which all keys of the program decide; then those of queries and keys."""
    step_size = tl.cast(samples, tl.int64) * sample_size
    group, begin, rows = place(kept, groups, group_stride, sample_size, KEPT)
    totals = zeros(KEPT, SUMMED, T)
    for start in range(0, summed, SUMMED):
        elements, inside = tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED)
        h = membranes(read(k + begin, elements, inside, step_size, T), gain, v_threshold, LEAKY, T)
        grads = read(grad_spikes + begin, elements, inside, step_size, T)
        added = ()
        for t in tl.static_range(T):
            added += (totals[t] + tl.where(fire(h[t], v_threshold), grads[t], 0.0),)
        totals = added

    currents = read(sums + group * kept, rows, rows < kept, tl.cast(samples, tl.int64) * groups * kept, T)
    attention_h = membranes(currents, gain, attention_threshold, LEAKY, T)
    attention = attention_bits(attention_h, attention_threshold, T)
    grad_v = tl.zeros([KEPT], tl.float32)
    grad_sums = ()
    for t in tl.static_range(T - 1, -1, -1):
        grad_attention = tl.sum(totals[t], axis=1)
        grad_v, grad = step_backward(attention_h[t], grad_attention, grad_v, attention_threshold, alpha, gain, LEAKY)
        grad_sums = (grad[:, None],) + grad_sums  # noqa: RUF005 (Triton knows no unpacking)

    for start in range(0, summed, SUMMED):
        elements, inside = tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED)
        h = membranes(read(q + begin, elements, inside, step_size, T), gain, v_threshold, LEAKY, T)
        write_gradients(grad_q + begin, elements, inside, step_size, h, grad_sums, gain, v_threshold, alpha, LEAKY, T)

    for start in range(0, summed, SUMMED):  # not together with q: more registers would be held at a time
        elements, inside = tile(rows, start, kept, summed, kept_stride, summed_stride, SUMMED)
        h = membranes(read(k + begin, elements, inside, step_size, T), gain, v_threshold, LEAKY, T)
        grads = read(grad_spikes + begin, elements, inside, step_size, T)
        masked = ()
        for t in tl.static_range(T):
            masked += (tl.where(passes(attention, t), grads[t], 0.0),)
        write_gradients(grad_k + begin, elements, inside, step_size, h, masked, gain, v_threshold, alpha, LEAKY, T)


def tile_shape(T: int, kept: int, kept_stride: int, summed: int) -> dict[str, int]:
    """KEPT and SUMMED: as much as the registers hold, along the axis that is contiguous in memory at least a line."""
    elements = 32 * WARPS * max(1, min(ELEMENTS, CURRENTS // triton.next_power_of_2(T)))
    most = elements // (COALESCED if kept_stride == 1 else 4)
    summed_block = min(triton.next_power_of_2(summed), most)
    return {"KEPT": min(triton.next_power_of_2(kept), elements // summed_block), "SUMMED": summed_block}


def _sizes(q: Tensor, heads: int | None, tau: float | None) -> tuple[tuple[int], tuple[int, ...], dict[str, object]]:
    """The grid, the sizes and strides, and the constants that both kernels share."""
    T, B, C, H, W = q.shape
    tokens, groups = H * W, heads or 1
    channel_stride, token_stride = (tokens, 1) if q.is_contiguous() else (1, C)
    axes = [(tokens, token_stride), (C // groups, channel_stride)]  # kept and summed
    (kept, kept_stride), (summed, summed_stride) = axes if heads else reversed(axes)
    block = tile_shape(T, kept, kept_stride, summed)
    sizes = (B, C * tokens, groups, C // groups * channel_stride, kept, kept_stride, summed, summed_stride)
    constants = {"LEAKY": tau is not None, "T": T, **block, "num_warps": WARPS, **LAUNCH}
    return (B * groups * triton.cdiv(kept, block["KEPT"]),), sizes, constants


def forward(
    q: Tensor, k: Tensor, heads: int | None, tau: float | None, v_threshold: float, attention_threshold: float
) -> tuple[Tensor, Tensor]:
    """The spikes and the sums of query spikes; q lies `in_planes`, and k as q."""
    T, B, C, H, W = q.shape
    spikes = torch.empty_like(q)
    sums = q.new_empty((T, B, C, 1, 1) if heads is None else (T, B, heads, H, W), dtype=torch.int32)
    if q.numel():
        grid, sizes, constants = _sizes(q, heads, tau)
        numbers = (gain_of(tau) or 1.0, v_threshold, attention_threshold)
        with torch.cuda.device_of(q):
            forward_kernel[grid](q, k, spikes, sums, *numbers, *sizes, **constants)
    return spikes, sums


def backward(
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
    """The gradients of q and k, given that of the spikes; q lies `in_planes`, k and the gradient as q."""
    grad_q, grad_k = torch.empty_like(q), torch.empty_like(q)
    if q.numel():
        grid, sizes, constants = _sizes(q, heads, tau)
        numbers = (gain_of(tau) or 1.0, v_threshold, attention_threshold, alpha)
        with torch.cuda.device_of(q):
            backward_kernel[grid](grad, q, k, sums, grad_q, grad_k, *numbers, *sizes, **constants)
    return grad_q, grad_k
