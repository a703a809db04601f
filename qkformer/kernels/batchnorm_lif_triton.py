"""The kernel of `batchnorm_lif`: that of `lif`, with a scale and a shift for each neuron."""

from __future__ import annotations

from torch import Tensor

from .lif_triton import launch_forward, read_chunk, time_step
from .steps import as_spikes, charge, fire, reset, tl, triton


@triton.jit
def forward_kernel(
    x, spikes, scale, shift, channels, channel_stride, T, N, chunks, gain, v_threshold,
    LEAKY: tl.constexpr, STEPS: tl.constexpr, WHOLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """x, spikes [T, N]; scale, shift [channels]. Neuron n is of channel n / channel_stride % channels.

    That holds whatever the order of the dimensions in memory. A block's first neuron is reduced to the channels'
    first period in 64 bits; the others follow it in 32, since 64-bit quotients are slow.
    """
    N = tl.cast(N, tl.int64)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    neuron = first + tl.arange(0, BLOCK)
    within = (first % (channels * channel_stride)).to(tl.int32) + tl.arange(0, BLOCK)
    channel = within // channel_stride % channels
    scales, shifts = tl.load(scale + channel), tl.load(shift + channel)
    v = tl.zeros([BLOCK], tl.float32)
    for chunk in range(chunks):
        t = chunk * STEPS
        currents = read_chunk(x, t, T, N, neuron, STEPS, WHOLE)
        for i in tl.static_range(STEPS):
            h = charge(v, currents[i].to(tl.float32) * scales + shifts, gain, LEAKY)
            fired = fire(h, v_threshold)
            at, inside = time_step(t + i, T, N, neuron, WHOLE)
            tl.store(spikes + at, as_spikes(fired).to(spikes.dtype.element_ty), mask=inside)
            v = reset(h, fired)


def forward(x: Tensor, scale: Tensor, shift: Tensor, tau: float | None, v_threshold: float) -> Tensor:
    """The spikes of [T, B, C, ...] that lies `in_steps`."""
    channels = (scale.contiguous(), shift.contiguous(), x.shape[2], max(x.stride(2), 1))
    return launch_forward(forward_kernel, x, channels, tau, v_threshold)
