"""The time step of a neuron and its gradient, inlined into every kernel. The only import of Triton.

Spikes of kernels and references are equal, not close, because both round every operation alike:

- The membrane is float32, whatever the dtype of currents and spikes.
- The charge multiplies by the number 1 / tau, rounded to float32. (PyTorch would divide by tau on a CPU and multiply
  by its reciprocal on a GPU; a product is the same on both. With tau a power of two all agree.)
- Kernels are launched with `**LAUNCH`: no product is fused with a sum.
- A neuron fires where v >= v_threshold.

Gradients agree to rounding only: exp differs between libraries.
"""

import triton
import triton.language as tl

LAUNCH = {"enable_fp_fusion": False}

__all__ = [
    "LAUNCH",
    "as_spikes",
    "charge",
    "charge_backward",
    "fire",
    "reset",
    "step_backward",
    "surrogate_slope",
    "tl",
    "triton",
]


@triton.jit
def charge(v, x, gain, LEAKY: tl.constexpr):
    """The membrane after input x: v + (x - v) * gain with gain = 1 / tau, or v + x without a leak."""
    return v + (x - v) * gain if LEAKY else v + x


@triton.jit
def fire(h, v_threshold):
    """Whether the membrane spikes, as a mask."""
    return h >= v_threshold


@triton.jit
def as_spikes(fired):
    """The mask as float32, 1 or 0, to be cast further. (The interpreter cannot cast a mask to bfloat16.)"""
    return tl.where(fired, 1.0, 0.0)


@triton.jit
def reset(h, fired):
    """The membrane after its spike: 0."""
    return tl.where(fired, 0.0, h)


@triton.jit
def surrogate_slope(h, v_threshold, alpha):
    """The derivative of sigmoid(alpha (h - v_threshold)), which stands for that of the spike."""
    # sigmoid (1 - sigmoid) = e / (1 + e)^2, which cannot overflow; e by a power of 2: log2(e) = 1.44...
    e = tl.exp2(-1.4426950408889634 * alpha * tl.abs(h - v_threshold))
    root = tl.rsqrt(1.0 + e)  # fewer instructions than a quotient, and instructions are what the backward waits for
    share = root * root
    return alpha * e * share * share


@triton.jit
def charge_backward(grad_h, gain, LEAKY: tl.constexpr):
    """The gradients (of v, of x) through `charge`."""
    grad_x = grad_h * gain if LEAKY else grad_h
    grad_v = grad_h - grad_x if LEAKY else grad_h
    return grad_v, grad_x


@triton.jit
def step_backward(h, grad_spike, grad_v, v_threshold, alpha, gain, LEAKY: tl.constexpr):
    """One step back: from the gradients of its spike and of the membrane after its reset to those of v and of x.

    The reset is not differentiated: where the neuron fired, nothing flows back through the membrane.
    """
    passed = tl.where(fire(h, v_threshold), 0.0, grad_v)
    grad_h = grad_spike * surrogate_slope(h, v_threshold, alpha) + passed
    return charge_backward(grad_h, gain, LEAKY)
