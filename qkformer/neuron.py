"""Spiking neurons over [T, B, ...], and the surrogate gradient that trains them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SURROGATE_ALPHA = 4.0  # spikingjelly's default, with which every published model was trained


class Population(nn.Module):
    """A module whose output is the spikes, or spike counts, [T, B, ...] of a named population.

    `record_spikes` records every one of them under its module path.
    """


class _Spike(torch.autograd.Function):
    """Forward: 1 where x >= 0. Backward: the slope of sigmoid(alpha x)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        sigmoid = torch.sigmoid(SURROGATE_ALPHA * x)
        return gradient * SURROGATE_ALPHA * sigmoid * (1 - sigmoid)


def spike(x: Tensor) -> Tensor:
    """1 where x >= 0, else 0; its gradient is that of sigmoid(4 x)."""
    return _Spike.apply(x)


class Neuron(Population):
    """The cycle of all neurons: charge, fire, reset. Each element has a membrane v, at 0 before the first step.

    For each t:  v <- charge(v, x[t]);  spike iff v >= v_threshold;  v <- 0 on a spike.
    The reset is not differentiated (`detach_reset` in spikingjelly).

    With `batch_leak` the T time steps of the B samples are run as one sequence of T * B steps, so charge passes
    from each sample to the next. That is an error of the published QKFormer, kept to reproduce its figures.
    """

    def __init__(self, v_threshold: float = 1.0, batch_leak: bool = False):
        super().__init__()
        self.v_threshold = v_threshold
        self.batch_leak = batch_leak

    @property
    def decay(self) -> float:
        """The share of v that is left after one step without input."""
        raise NotImplementedError

    @property
    def input_gain(self) -> float:
        """The share of the input current that reaches v."""
        raise NotImplementedError

    def charge(self, v: Tensor, x: Tensor) -> Tensor:
        """The membrane after one step of input x, before any spike."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, ...] -> spikes [T, B, ...], each 0 or 1."""
        steps = x.flatten(0, 1) if self.batch_leak else x
        v = torch.zeros_like(steps[0])
        spikes = []
        for current in steps:
            v = self.charge(v, current)
            fired = spike(v - self.v_threshold)
            v = v.masked_fill(fired.detach().bool(), 0.0)
            spikes.append(fired)
        return torch.stack(spikes).reshape(x.shape)

    def extra_repr(self) -> str:
        """The constants, for `print(model)`."""
        leak = ", batch_leak=True" if self.batch_leak else ""
        return f"decay={self.decay:g}, v_threshold={self.v_threshold:g}{leak}"


class LIF(Neuron):
    """Leaky integrate and fire: v <- v + (x - v) / tau, tau in time steps.

    Source: MultiStepLIFNode of spikingjelly 0.0.0.0.12 with decay_input, v_reset = 0 and detach_reset.
    """

    def __init__(self, tau: float = 2.0, v_threshold: float = 1.0, batch_leak: bool = False):
        super().__init__(v_threshold, batch_leak)
        self.tau = tau

    @property
    def decay(self) -> float:
        """1 - 1 / tau."""
        return 1.0 - 1.0 / self.tau

    @property
    def input_gain(self) -> float:
        """1 / tau."""
        return 1.0 / self.tau

    def charge(self, v: Tensor, x: Tensor) -> Tensor:
        """The membrane v + (x - v) / tau."""
        return v + (x - v) / self.tau


class IF(Neuron):
    """Integrate and fire, without a leak: v <- v + x.

    Source: MultiStepIFNode of spikingjelly 0.0.0.0.12.
    """

    @property
    def decay(self) -> float:
        """1: nothing leaks."""
        return 1.0

    @property
    def input_gain(self) -> float:
        """1: all of the current arrives."""
        return 1.0

    def charge(self, v: Tensor, x: Tensor) -> Tensor:
        """The membrane v + x."""
        return v + x


class PLIF(Neuron):
    """A LIF that learns its leak: v <- v + (x - v) * sigmoid(w), so 1 / tau = sigmoid(w). One w per population.

    Source: MultiStepParametricLIFNode of spikingjelly 0.0.0.0.12; Fang et al., ICCV 2021, arXiv:2007.05785.
    """

    def __init__(self, tau: float = 2.0, v_threshold: float = 1.0, batch_leak: bool = False):
        super().__init__(v_threshold, batch_leak)
        self.w = nn.Parameter(-torch.log(torch.tensor(tau - 1.0)))

    @property
    def tau(self) -> float:
        """The time constant learned so far, in time steps."""
        return 1.0 / self.input_gain

    @property
    def decay(self) -> float:
        """1 - sigmoid(w)."""
        return 1.0 - self.input_gain

    @property
    def input_gain(self) -> float:
        """sigmoid(w)."""
        return torch.sigmoid(self.w).item()

    def charge(self, v: Tensor, x: Tensor) -> Tensor:
        """The membrane v + (x - v) * sigmoid(w)."""
        return v + (x - v) * torch.sigmoid(self.w)


def create_neuron(kind: str, tau: float, v_threshold: float, batch_leak: bool = False) -> Neuron:
    """A neuron by its name in `Config.neuron`: `lif`, `plif`, or `if`, which has no tau."""
    if kind == "if":
        return IF(v_threshold, batch_leak)
    return {"lif": LIF, "plif": PLIF}[kind](tau, v_threshold, batch_leak)
