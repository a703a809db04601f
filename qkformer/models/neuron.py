"""Spiking neurons over [T, B, ...]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..kernels.backend import KernelError, check_backend, resolve_backend
from ..kernels.batchnorm_lif_operator import batchnorm_lif
from ..kernels.batchnorm_lif_reference import scale_and_shift
from ..kernels.lif_operator import lif
from ..kernels.lif_reference import charge, multi_step

BatchNorm = nn.modules.batchnorm._BatchNorm  # of any rank


class Population(nn.Module):
    """A module whose output is the spikes, or spike counts, [T, B, ...] of a named population.

    `record_spikes` records every one of them under its module path, but those of which `is_recorded` is false.
    """

    @property
    def is_recorded(self) -> bool:
        """Whether it emits integers that every target shows under its name."""
        return True


class Neuron(Population):
    """The cycle of all neurons: charge, fire, reset. Each element has a membrane v, at 0 before the first step.

    For each t:  v <- charge(v, x[t]);  spike iff v >= v_threshold;  v <- 0 on a spike.
    The gradient of a spike is that of sigmoid(4 (v - v_threshold)); the reset is not differentiated.

    With `batch_leak` the T time steps of the B samples are run as one sequence of T * B steps, so charge passes
    from each sample to the next. That is an error of the published QKFormer, kept to reproduce its figures.

    `backend` is who computes: `auto`, `torch` or `triton`, see `kernels.resolve_backend`. No spike depends on it.
    """

    tau: float | None  # the time constant of the leak in time steps; None: no leak

    def __init__(self, v_threshold: float = 1.0, batch_leak: bool = False, backend: str = "auto") -> None:
        super().__init__()
        check_backend(backend)
        self.v_threshold = v_threshold
        self.batch_leak = batch_leak
        self.backend = backend

    @property
    def decay(self) -> float:
        """The share of v that is left after one step without input: 1 - 1 / tau, or 1."""
        return 1.0 if self.tau is None else 1.0 - self.input_gain

    @property
    def input_gain(self) -> float:
        """The share of the input current that reaches v: 1 / tau, or 1."""
        return 1.0 if self.tau is None else 1.0 / self.tau

    def forward(self, x: Tensor, norm: BatchNorm | None = None) -> Tensor:
        """Currents [T, B, ...] -> spikes [T, B, ...], each 0 or 1.

        Args:
            x: the currents, or where `in_one_kernel(norm, x)` the outputs [T, B, C, ...] of a convolution.
            norm: the BatchNorm that makes currents of these.
        """
        steps = x.flatten(0, 1).unsqueeze(1) if self.batch_leak else x
        spikes = self.run(steps) if norm is None else self.run_normalized(steps, norm)
        return spikes.reshape(x.shape)

    def run(self, x: Tensor) -> Tensor:
        """Currents [T, ...] -> spikes [T, ...]."""
        return lif(x, self.tau, self.v_threshold, backend=self.backend)

    def in_one_kernel(self, norm: nn.Module, x: Tensor) -> bool:
        """Whether BatchNorm and neuron are one kernel: in evaluation mode, without gradients, by Triton."""
        evaluates = isinstance(norm, BatchNorm) and not norm.training and not torch.is_grad_enabled()
        return evaluates and resolve_backend(self.backend, x) == "triton"

    def run_normalized(self, x: Tensor, norm: BatchNorm) -> Tensor:
        """Outputs of a convolution [T, B, C, ...] -> spikes [T, B, C, ...]."""
        return batchnorm_lif(x, *scale_and_shift(norm), self.tau, self.v_threshold, self.backend)

    def extra_repr(self) -> str:
        """The constants, for `print(model)`."""
        leak = ", batch_leak=True" if self.batch_leak else ""
        return f"decay={self.decay:g}, v_threshold={self.v_threshold:g}{leak}"


class LIF(Neuron):
    """Leaky integrate and fire: v <- v + (x - v) / tau, tau in time steps.

    Source: MultiStepLIFNode of spikingjelly 0.0.0.0.12 with decay_input, v_reset = 0 and detach_reset.
    """

    def __init__(
        self, tau: float = 2.0, v_threshold: float = 1.0, batch_leak: bool = False, backend: str = "auto"
    ) -> None:
        super().__init__(v_threshold, batch_leak, backend)
        self.tau = tau


class IF(Neuron):
    """Integrate and fire, without a leak: v <- v + x.

    Source: MultiStepIFNode of spikingjelly 0.0.0.0.12.
    """

    tau = None


class PLIF(Neuron):
    """A LIF that learns its leak: v <- v + (x - v) * sigmoid(w), so 1 / tau = sigmoid(w). One w per population.

    It has no kernel: PyTorch computes it, and the backend "triton" is refused with a KernelError.

    Source: MultiStepParametricLIFNode of spikingjelly 0.0.0.0.12; Fang et al., ICCV 2021, arXiv:2007.05785.
    """

    def __init__(
        self, tau: float = 2.0, v_threshold: float = 1.0, batch_leak: bool = False, backend: str = "auto"
    ) -> None:
        super().__init__(v_threshold, batch_leak, backend)
        self.w = nn.Parameter(-torch.log(torch.tensor(tau - 1.0)))

    @property
    def tau(self) -> float:  # type: ignore[override]  # learned, so that it cannot be set
        """The time constant learned so far, in time steps."""
        return 1.0 / self.input_gain

    @property
    def input_gain(self) -> float:
        """sigmoid(w)."""
        return torch.sigmoid(self.w).item()

    def run(self, x: Tensor) -> Tensor:
        """Currents [T, ...] -> spikes [T, ...]."""
        if self.backend == "triton":
            raise KernelError('PLIF has no Triton kernel: choose backend "torch" or "auto"')
        return multi_step(x, lambda v, x: charge(v, x, torch.sigmoid(self.w)), self.v_threshold)

    def in_one_kernel(self, norm: nn.Module, x: Tensor) -> bool:
        """Never."""
        return False


def create_neuron(kind: str, tau: float, v_threshold: float, batch_leak: bool = False) -> Neuron:
    """A neuron by its name in `Config.neuron`: `lif`, `plif`, or `if`, which has no tau."""
    if kind == "if":
        return IF(v_threshold, batch_leak)
    return {"lif": LIF, "plif": PLIF}[kind](tau, v_threshold, batch_leak)
