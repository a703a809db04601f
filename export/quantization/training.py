"""Quantization-aware training: the forward of the fixed model, the backward of the float one.

The float model's parameters are trained. Each forward pass folds BatchNorm and rounds the result to int8 weights, whole
biases and thresholds by `quantize`'s own functions, and runs them through the fixed model's integer neurons, so the
loss sees exactly the network that `quantize` gives. Backward, every rounding counts as the identity (straight-through
estimator, Bengio et al., arXiv:1308.3432) with the scale held constant, and every spike has the float neuron's
surrogate gradient at the integer neuron's membrane.

BatchNorm's statistics are frozen: it is folded with its running ones, in training mode too. With those of a batch, the
integers would depend on the batch, and the network that is trained would not be the one that is deployed
(Krishnamoorthi, arXiv:1806.08342, freezes them in the end for that reason). Its weight and bias are trained.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hardware.chip.fixed_point import FRACTION, logits_of
from hardware.graph.encoding import INPUT_LIMIT
from qkformer import Neuron, Population, SpikingTransformer
from qkformer.kernels.lif_reference import spike
from qkformer.models.attention import SelfAttention
from qkformer.models.layers import Layer

from ..errors import ExportError, naming
from ..network.fixed_layers import (
    CurrentPool,
    FixedLIF,
    Gate,
    SelfAttentionProduct,
    convolve,
    read_out,
    straight_through,
)
from ..network.node_network import OUTPUT, NodeNetwork
from ..sources.batchnorm import fold
from ..sources.walk import WINDOW, Modules, geometry, pools_currents
from .certificate import LayerCertificate
from .layer import FixedNeuron, QuantizedLayer
from .network import QuantizingWalk, attention_neuron, calibrate, mean_scale


class QuantizationAware(NodeNetwork):
    """A float model whose forward pass is that of its fixed model, to be trained in its stead.

    `QuantizationAware(model, calibration)(images)` equals `quantize(model, calibration)(images)` in every spike of
    every population and in every logit, whatever the weights; gradients reach the parameters of `model`, which are
    this module's only ones. Images [B, C, H, W], or event counts [B, T, C, H, W] -> logits [B, classes], float32.

    model: trained in place; its mode (train or eval) changes nothing here. calibration: as in `quantize`; the scale of
    the inputs is all that is taken from it.
    Raises ExportError as `quantize` does, also when weights become NaN or infinite on the way, and for PLIF neurons,
    whose time constant is not trained here; RangeError where a layer that is not certified overflows; ValueError for
    images that the model does not take.
    """

    def __init__(self, model: SpikingTransformer, calibration: Tensor):
        if model.config.neuron == "plif":
            raise ExportError(f"{model.config.name}: the time constants of plif neurons are not trained here; use lif")
        super().__init__(calibrate(model, calibration))
        self.model = model
        with torch.no_grad():
            _Builder(model, self).run()

    def encode(self, images: Tensor) -> Tensor:
        """What `Encoding.encode` gives, float32 and on the device of the images. [T, B, C, H, W]."""
        self.model.check_images(images)
        encoding = self.encoding
        if tuple(images.shape[-3:]) != tuple(encoding.input_shape) or not torch.isfinite(images).all():
            encoding.present(images.detach().cpu())  # says what is wrong
        values = (images.double() / encoding.input_scale).round().clamp(-INPUT_LIMIT, INPUT_LIMIT).to(self.dtype)
        return values.transpose(0, 1) if encoding.events else values.expand(encoding.time_steps, *values.shape)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes], computed in whole numbers even under autocast, whose sums bfloat16 could not hold."""
        with torch.autocast(images.device.type, enabled=False):
            output = self.run(self.encode(images))
            return logits_of(output.double(), self.get_submodule(OUTPUT).logit_scale).float()


class TrainedConv(nn.Module):
    """A float layer's convolution and BatchNorm, in the whole numbers that they come to now.

    quantize: folded weight and bias -> the layer's numbers; publish: told of these on every call, for the neuron.
    """

    def __init__(
        self,
        name: str,
        layer: Layer,
        input_scale: float,
        quantize: Callable[[Tensor, Tensor], QuantizedLayer],
        publish: Callable[[QuantizedLayer], None],
    ):
        super().__init__()
        self.name, self.input_scale, self.quantize, self.publish = name, input_scale, quantize, publish
        self.layer = layer  # a tuple, so that its parameters stay the float model's alone
        self.stride, self.padding = geometry(layer.conv)

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """Whole numbers with the gradients of weight / scale and bias / scale."""
        weight, bias = fold(self.layer.conv, self.layer.bn)
        quantized = self.quantize(weight, bias)
        self.publish(quantized)
        scale = quantized.certificate.scale
        return (
            straight_through(weight * (self.input_scale / scale), quantized.weight),
            straight_through(bias / scale, quantized.bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """W x + b: [T, B, C_in, H, W] -> [T, B, C_out, H', W']."""
        with naming(self.name):
            weight, bias = self.weight_and_bias()
        return convolve(x, weight, bias, self.stride, self.padding)


class _Surrogate(torch.autograd.Function):
    """Forward: the integer neuron's spikes. Backward: as the float neuron's, its membrane being v before each reset."""

    @staticmethod
    def forward(ctx, x: Tensor, spikes: Tensor, v: Tensor, decay: float, gain: float, v_threshold: float) -> Tensor:
        ctx.save_for_backward(spikes, v)
        ctx.constants = decay, gain, v_threshold
        return spikes.view_as(spikes)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
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

    def __init__(self, neuron: Neuron, fixed: FixedNeuron, scale: float, name: str, certified: bool = False):
        super().__init__(fixed.decay, fixed.threshold, name)
        self.float_decay, self.gain, self.v_threshold = neuron.decay, neuron.input_gain, neuron.v_threshold
        self.scale, self.certified = scale, certified

    def follow(self, layer: QuantizedLayer) -> None:
        """Take over the numbers that the layer's weights have come to."""
        self.decay, self.threshold = layer.neuron.decay, layer.neuron.threshold
        self.scale, self.certified = layer.certificate.scale, layer.certificate.certified

    def forward(self, x: Tensor) -> Tensor:
        """Whole-numbered currents [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        if not x.requires_grad:
            return super().forward(x)
        spikes, v = torch.empty_like(x), torch.empty_like(x)
        gain = self.gain * self.scale
        with torch.no_grad():
            for t, (membrane, fired) in enumerate(self.steps(x)):
                spikes[t] = fired
                v[t] = membrane
        return _Surrogate.apply(x, spikes, v.mul_(gain / FRACTION), self.float_decay, gain, self.v_threshold)

    def _check(self, what: str, values: Tensor) -> None:
        if not self.certified:
            super()._check(what, values)


class TrainedGate(Gate):
    """The gate that stands for a float neuron, with that neuron's gradient.

    Its membrane holds nothing: it is 0 after every step, by a reset or because no spike came.
    """

    def __init__(self, neuron: Neuron, threshold: int):
        super().__init__(threshold)
        self.float_decay, self.gain, self.v_threshold = neuron.decay, neuron.input_gain, neuron.v_threshold

    def forward(self, x: Tensor) -> Tensor:
        """Sums of spikes [T, B, ...] -> spikes [T, B, ...], 0 or 1."""
        spikes = super().forward(x)
        if not x.requires_grad:
            return spikes
        return _Surrogate.apply(x, spikes, x.detach() * self.gain, self.float_decay, self.gain, self.v_threshold)


class TrainedReadout(Population):
    """The head in the whole numbers that it comes to now: [T, B, C, H, W] -> [T, B, classes].

    quantize: weight and bias -> whole numbers and their certificate. The logits are `logit_scale` times the sums over
    time, which are a mean over tokens and time.
    """

    def __init__(
        self,
        head: nn.Linear,
        tokens: int,
        time_steps: int,
        quantize: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, LayerCertificate]],
    ):
        super().__init__()
        self.head = (head,)  # a tuple, so that its parameters stay the float model's alone
        self.tokens, self.time_steps, self.quantize = tokens, time_steps, quantize
        self.logit_scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        (head,) = self.head
        with naming("head"):
            weight, bias, certificate = self.quantize(head.weight, head.bias)
        scale = certificate.scale
        self.logit_scale = mean_scale(certificate, self.tokens, self.time_steps)
        return read_out(
            x,
            straight_through(head.weight.double() / scale, weight),
            straight_through(head.bias.double() * (self.tokens / scale), bias),
        )


class _Builder(QuantizingWalk):
    """Puts modules that follow the float model's parameters where `quantize` puts those parameters' numbers."""

    def layer_modules(self, path: str, layer: Layer, stream: list[str]) -> Modules:
        quantize = self.layer_quantizer(path, layer, stream)
        numbers = quantize(*fold(layer.conv, layer.bn))  # what has none is refused at once
        lif = TrainedLIF(layer.lif, numbers.neuron, numbers.certificate.scale, f"{path}.{layer.lif_path}")
        conv = TrainedConv(f"{path}.{layer.conv_path}", layer, self.input_scale(stream), quantize, lif.follow)
        return Modules(conv, lif, CurrentPool(*WINDOW, numbers.low, numbers.high) if pools_currents(layer) else None)

    def attention_neuron(self, path: str, neuron: Neuron) -> TrainedGate | TrainedLIF:
        fixed = attention_neuron(path, neuron)
        if isinstance(fixed, Gate):
            return TrainedGate(neuron, fixed.threshold)
        return TrainedLIF(neuron, FixedNeuron(fixed.decay, fixed.threshold), 1.0, path)

    def self_attention(self, path: str, attention: SelfAttention) -> tuple[SelfAttentionProduct, TrainedLIF]:
        quantized = self.quantized_attention(path, attention)
        certificate = quantized.certificate
        neuron = TrainedLIF(
            attention.attn_lif, quantized.neuron, certificate.scale, certificate.population, certificate.certified
        )
        return SelfAttentionProduct(attention.heads, quantized.factor), neuron

    def readout(self, stream: list[str]) -> TrainedReadout:
        quantize = self.head_quantizer(stream)
        return TrainedReadout(self.model.head, self.tokens, self.config.time_steps, quantize)
