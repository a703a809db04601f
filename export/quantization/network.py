"""Float model -> fixed model: every layer folded, quantized and certified; Q-K attention as gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from hardware.graph.encoding import INPUT_LIMIT, Encoding
from qkformer import Neuron, SpikingTransformer
from qkformer.models.attention import SelfAttention
from qkformer.models.layers import Layer

from ..errors import ExportError, naming
from ..network.fixed_layers import CurrentPool, FixedConv, FixedLIF, Gate, Readout, SelfAttentionProduct
from ..network.fixed_model import FixedModel
from ..network.node_network import INPUT
from ..sources.batchnorm import fold
from ..sources.walk import WINDOW, ModelWalk, Modules, geometry, pools_currents
from .certificate import Certificate, LayerCertificate
from .layer import FixedNeuron, QuantizedAttention, QuantizedLayer, quantize_attention, quantize_head, quantize_layer


@torch.no_grad()
def quantize(model: SpikingTransformer, calibration: Tensor) -> FixedModel:
    """The fixed model of a float model in eval mode, with a certificate that no input can overflow it.

    calibration: images [B, C, H, W], whose largest magnitude sets the scale of the int8 inputs; event counts
    [B, T, C, H, W] keep a scale of 1. The float model is left as it is.
    Raises ExportError for a part that has no integer form (a pre-activation residual, samples that leak into each
    other), for NaN or infinite weights, and for a calibration that is empty or all zeros; ValueError for images that
    the model does not take.
    """
    fixed = FixedModel(calibrate(model, calibration))
    walk = _Quantizer(model, fixed)
    walk.run()
    fixed.certificate = Certificate(tuple(walk.certificates))
    return fixed.eval()


def calibrate(model: SpikingTransformer, calibration: Tensor) -> Encoding:
    """How the fixed model of a float model is fed; its logit_scale is left open. Raises what `quantize` does."""
    config = model.config
    encoding = Encoding(
        name=config.name,
        input_shape=tuple(calibration.shape[-3:]),
        time_steps=config.time_steps,
        input_scale=1.0 if config.events else _input_scale(config.name, calibration),
        events=config.events,
    )
    model.check_images(calibration)
    return encoding


class QuantizingWalk(ModelWalk):
    """What decides the whole numbers of each part, but for the float weights: `quantize` and `QuantizationAware`."""

    def input_scale(self, stream: list[str]) -> float:
        """What 1 is worth in a stream: populations emit counts."""
        return self.network.encoding.input_scale if stream == [INPUT] else 1.0

    def layer_quantizer(self, path: str, layer: Layer, stream: list[str]) -> Callable[[Tensor, Tensor], QuantizedLayer]:
        """A layer's numbers from its folded weight and bias."""
        return partial(
            quantize_layer,
            f"{path}.{layer.conv_path}",
            f"{path}.{layer.lif_path}",
            neuron=layer.lif,
            input_range=(-INPUT_LIMIT, INPUT_LIMIT) if stream == [INPUT] else (0, len(stream)),
            input_scale=self.input_scale(stream),
            time_steps=self.config.time_steps,
            compared=pools_currents(layer),
        )

    def quantized_attention(self, path: str, attention: SelfAttention) -> QuantizedAttention:
        """The numbers of self-attention, which has no weights of its own."""
        channels = attention.layer("v").conv.weight.shape[0]
        return quantize_attention(
            f"{path}.attn_product",
            f"{path}.attn_lif",
            attention.attn_lif,
            self.config.attention_scale,
            self.tokens * channels // attention.heads,
            self.config.time_steps,
        )

    def head_quantizer(self, stream: list[str]) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor, LayerCertificate]]:
        """The head's numbers from its weight and bias."""
        return partial(quantize_head, "head", tokens=self.tokens, input_range=(0, len(stream)))


class _Quantizer(QuantizingWalk):
    """Puts whole numbers into the modules, and keeps a certificate of each weighted layer."""

    def __init__(self, model: SpikingTransformer, fixed: FixedModel):
        super().__init__(model, fixed)
        self.certificates: list[LayerCertificate] = []

    def layer_modules(self, path: str, layer: Layer, stream: list[str]) -> Modules:
        quantized = self.layer_quantizer(path, layer, stream)(*fold(layer.conv, layer.bn))
        self.certificates.append(quantized.certificate)
        return Modules(
            FixedConv(quantized.weight, quantized.bias, *geometry(layer.conv)),
            FixedLIF(quantized.neuron.decay, quantized.neuron.threshold, f"{path}.{layer.lif_path}"),
            CurrentPool(*WINDOW, quantized.low, quantized.high) if pools_currents(layer) else None,
        )

    def attention_neuron(self, path: str, neuron: Neuron) -> Gate | FixedLIF:
        return attention_neuron(path, neuron)

    def self_attention(self, path: str, attention: SelfAttention) -> tuple[SelfAttentionProduct, FixedLIF]:
        quantized = self.quantized_attention(path, attention)
        self.certificates.append(quantized.certificate)
        neuron = FixedLIF(quantized.neuron.decay, quantized.neuron.threshold, f"{path}.attn_lif")
        return SelfAttentionProduct(attention.heads, quantized.factor), neuron

    def readout(self, stream: list[str]) -> Readout:
        head = self.model.head
        with naming("head"):
            weight, bias, certificate = self.head_quantizer(stream)(head.weight, head.bias)
        self.certificates.append(certificate)
        logit_scale = mean_scale(certificate, self.tokens, self.config.time_steps)
        self.network.encoding = replace(self.network.encoding, logit_scale=logit_scale)
        return Readout(weight, bias)


def attention_neuron(name: str, neuron: Neuron) -> Gate | FixedLIF:
    """The neuron of Q-K attention on a sum of spikes.

    If one spike suffices (v_threshold / gain <= 1) it fires whenever there is any and never holds charge: an OR.
    """
    if neuron.v_threshold / neuron.input_gain <= 1:
        return Gate(0)
    fixed = FixedNeuron.of(neuron, 1.0)
    return FixedLIF(fixed.decay, fixed.threshold, name)


def mean_scale(head: LayerCertificate, tokens: int, time_steps: int) -> float:
    """What 1 at the output, summed over time, is worth: logits are a mean over tokens and time steps."""
    return head.scale / (tokens * time_steps)


def _input_scale(name: str, calibration: Tensor) -> float:
    largest = calibration.abs().max().item() if calibration.numel() else 0.0
    if not 0 < largest < float("inf"):
        raise ExportError(f"{name}: the largest magnitude of the calibration images is {largest}; give real images")
    return largest / INPUT_LIMIT
