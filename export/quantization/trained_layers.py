"""The layers of a network in training: the fixed model's integers forward, the float model's gradients backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hardware.chip import Chip
from qkformer import Neuron, Population
from qkformer.kernels.lif_reference import spike

from ..network.fixed_layers import FixedLIF, Gate, convolve, read_out
from ..network.layers import straight_through
from .layer import QuantizedLayer
from .neuron import FixedNeuron
from .rules import HeadRule, LayerRule


class TrainedConv(nn.Module):
    """A convolution in the integers that its float weights come to now.

    publish: told of the layer's integers on every call, for the neuron.
    """

    def __init__(self, rule: LayerRule, publish: Callable[[QuantizedLayer], None]) -> None:
        super().__init__()
        self.rule, self.publish = rule, publish

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """Integers with the gradients of weight / scale and bias / scale."""
        layer, weight, bias = self.rule.decide()
        self.publish(layer)
        scale, input_scale = layer.certificate.scale, self.rule.quantizer.stream.scale
        return (
            straight_through(weight * (input_scale / scale), layer.weight),
            straight_through(bias / scale, layer.bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """W x + b: [T, B, C_in, H, W] -> [T, B, C_out, H', W']."""
        return convolve(x, *self.weight_and_bias(), self.rule.convolution.stride, self.rule.convolution.padding)


class _Surrogate(torch.autograd.Function):
    """Forward: the integer neuron's spikes. Backward: as the float neuron's, its membrane being v before each reset."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, spikes: Tensor, v: Tensor, decay: float, gain: float, v_threshold: float
    ) -> Tensor:
        ctx.save_for_backward(spikes, v)
        ctx.constants = decay, gain, v_threshold
        return spikes.view_as(spikes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spikes, v = ctx.saved_tensors
        decay, gain, v_threshold = ctx.constants
        with torch.enable_grad():
            above = (v - v_threshold).requires_grad_()
            (charge,) = torch.autograd.grad(spike(above), above, gradient)
        for t in reversed(range(len(charge) - 1)):
            charge[t].addcmul_(charge[t + 1], 1 - spikes[t], value=decay)  # a spike resets, undifferentiated
        return charge * gain, *[None] * 5


class TrainedLIF(FixedLIF):
    """The integer neuron with the surrogate gradient of the float one, at v = gain * scale * V.

    scale: what 1 is worth at its input. certified: no input can overflow it, so it is not checked as it runs.
    """

    def __init__(self, neuron: Neuron, fixed: FixedNeuron, scale: float, name: str, chip: Chip) -> None:
        super().__init__(fixed.decay, fixed.threshold, name, chip)
        self.float_decay, self.gain, self.v_threshold = neuron.decay, neuron.input_gain, neuron.v_threshold
        self.scale, self.certified = scale, False

    def follow(self, layer: QuantizedLayer) -> None:
        """Take over the integers that the layer's weights have come to."""
        self.decay, self.threshold = layer.neuron.decay, layer.neuron.threshold
        self.scale, self.certified = layer.certificate.scale, layer.certificate.certified

    def forward(self, x: Tensor) -> Tensor:
        """Integer currents [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        if not x.requires_grad:
            return super().forward(x)
        spikes, v = torch.empty_like(x), torch.empty_like(x)
        gain = self.gain * self.scale
        with torch.no_grad():
            for t, (membrane, fired) in enumerate(self.steps(x)):
                spikes[t] = fired
                v[t] = membrane
        return _Surrogate.apply(x, spikes, v.mul_(gain / self.chip.fraction), self.float_decay, gain, self.v_threshold)

    def _check(self, what: str, values: Tensor) -> None:
        if not self.certified:
            super()._check(what, values)


class TrainedGate(Gate):
    """The gate that stands for a float neuron, with that neuron's gradient.

    Its membrane holds nothing: it is 0 after every step, by a reset or because no spike came.
    """

    def __init__(self, neuron: Neuron, threshold: int) -> None:
        super().__init__(threshold)
        self.float_decay, self.gain, self.v_threshold = neuron.decay, neuron.input_gain, neuron.v_threshold

    def forward(self, x: Tensor) -> Tensor:
        """Sums of spikes [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        spikes = super().forward(x)
        if not x.requires_grad:
            return spikes
        return _Surrogate.apply(x, spikes, x.detach() * self.gain, self.float_decay, self.gain, self.v_threshold)


class TrainedReadout(Population):
    """The head in the integers that it comes to now: [T, B, C, H, W] -> [T, B, classes].

    scale: what 1 was worth at its output when it was called last.
    """

    def __init__(self, rule: HeadRule) -> None:
        super().__init__()
        self.rule, self.scale = rule, 1.0

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        head, weight, bias = self.rule.decide()
        self.scale = head.certificate.scale
        input_scale = self.rule.stream.scale
        return read_out(
            x,
            straight_through(weight * (input_scale / self.scale), head.weight),
            straight_through(bias / self.scale, head.bias),
        )
