"""Float model -> fixed model: every layer folded, quantized and certified; Q-K attention as gates."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hardware.encoding import INPUT_LIMIT, Encoding
from qkformer import Neuron, SpikingTransformer
from qkformer.attention import ChannelAttention, SelfAttention
from qkformer.layers import POOL_KERNEL, POOL_PADDING, POOL_STRIDE, Layer, Layered

from .certificate import Certificate, LayerCertificate
from .errors import ExportError
from .fixed_layers import (
    CurrentPool,
    FixedConv,
    FixedLIF,
    Gate,
    GroupSum,
    Mask,
    Readout,
    SelfAttentionProduct,
    SpikePool,
    TokenSum,
)
from .fixed_model import INPUT, OUTPUT, FixedModel
from .fold_batchnorm import fold
from .quantize_layer import FixedNeuron, quantize_attention, quantize_head, quantize_layer


def quantize(model: SpikingTransformer, calibration: Tensor) -> FixedModel:
    """The fixed model of a float model in eval mode, with a certificate that no input can overflow it.

    calibration: images [B, C, H, W], whose largest magnitude sets the scale of the int8 inputs; event counts
    [B, T, C, H, W] keep a scale of 1. The float model is left as it is.
    Raises ExportError for a part that has no integer form (a pre-activation residual, samples that leak into each
    other), for NaN or infinite weights, and for a calibration that is empty or all zeros.
    """
    return _Quantizer(model, calibration).run()


class _Quantizer:
    """Walks a model in execution order. A stream is a list of populations whose spikes are summed."""

    def __init__(self, model: SpikingTransformer, calibration: Tensor):
        config = model.config
        if config.residual != "activation-before-addition":
            raise ExportError(f"{config.name}: a {config.residual} residual adds currents, which do not go over edges")
        if config.batch_leak:
            raise ExportError(f"{config.name}: batch_leak lets samples leak into each other; create it with False")
        self.model, self.config = model, config
        encoding = Encoding(
            name=config.name,
            input_shape=tuple(calibration.shape[-3:]),
            time_steps=config.time_steps,
            input_scale=1.0 if config.events else _input_scale(config.name, calibration),
            events=config.events,
        )
        self.fixed = FixedModel(encoding)
        self.certificates: list[LayerCertificate] = []
        self.tokens = 0  # of the stage under way

    def run(self) -> FixedModel:
        stream, stride = [INPUT], 1
        _, height, width = self.fixed.encoding.input_shape
        for stage in self.model.stages():
            stride *= stage.embed.embed.stride
            self.tokens = (height // stride) * (width // stride)
            stream = self._patch_embed(stage.embed_path, stage.embed, stream)
            for number, block in enumerate(stage.blocks):
                path = f"{stage.blocks_path}.{number}"
                stream = [*stream, self._attention(f"{path}.{block.attention_name}", block.attention, stream)]
                hidden = stream
                for layer in block.mlp.layers():
                    hidden = [self._layer(f"{path}.mlp", layer, hidden)]
                stream = [*stream, *hidden]
        self._head(stream)
        self.fixed.certificate = Certificate(tuple(self.certificates))
        return self.fixed.eval()

    def _patch_embed(self, path: str, embed: Layered, stream: list[str]) -> list[str]:
        outputs = [stream]
        for name in embed.main:
            outputs.append([self._layer(path, embed.layer(name), outputs[-1])])
        if embed.embed.shortcut == "none":
            return outputs[-1]
        start = outputs[embed.shortcut_from + 1]
        return [*outputs[-1], *([self._layer(path, embed.shortcut, start)] if embed.shortcut else start)]

    def _attention(self, path: str, attention: Layered, stream: list[str]) -> str:
        if isinstance(attention, SelfAttention):
            return self._self_attention(path, attention, stream)
        queries = self._layer(path, attention.layer("q"), stream)
        keys = self._layer(path, attention.layer("k"), stream)
        total = TokenSum() if isinstance(attention, ChannelAttention) else GroupSum(attention.heads)
        pooled = self.fixed.add(f"{path}.attn_sum", total, queries)
        gate = self.fixed.add(f"{path}.attn_lif", attention_neuron(f"{path}.attn_lif", attention.attn_lif), pooled)
        masked = self.fixed.add(f"{path}.mask", Mask(), gate, keys)
        return self._layer(path, attention.layer("proj"), [masked])

    def _self_attention(self, path: str, attention: SelfAttention, stream: list[str]) -> str:
        spikes = [self._layer(path, attention.layer(name), stream) for name in "qkv"]
        product, population = f"{path}.attn_product", f"{path}.attn_lif"
        channels = attention.layer("v").conv.weight.shape[0]
        quantized = quantize_attention(
            product,
            population,
            attention.attn_lif,
            self.config.attention_scale,
            self.tokens * channels // attention.heads,
            self.config.time_steps,
        )
        self.certificates.append(quantized.certificate)
        self.fixed.add(product, SelfAttentionProduct(attention.heads, quantized.factor), *spikes)
        self.fixed.add(population, FixedLIF(quantized.neuron.decay, quantized.neuron.threshold, population), product)
        return self._layer(path, attention.layer("proj"), [population])

    def _layer(self, path: str, layer: Layer, stream: list[str]) -> str:
        """Convolution, neuron and max-pool; returns the population that comes out."""
        conv_name, population = f"{path}.{layer.conv_path}", f"{path}.{layer.lif_path}"
        pools_currents = layer.pool is not None and not layer.pool_after_lif
        from_input = stream == [INPUT]
        try:
            quantized = quantize_layer(
                conv_name,
                population,
                *fold(layer.conv, layer.bn),
                layer.lif,
                input_range=(-INPUT_LIMIT, INPUT_LIMIT) if from_input else (0, len(stream)),
                input_scale=self.fixed.encoding.input_scale if from_input else 1.0,
                time_steps=self.config.time_steps,
                compared=pools_currents,
            )
        except ValueError as error:
            raise ExportError(f"{conv_name}: {error}") from error
        self.certificates.append(quantized.certificate)
        stride, padding = (getattr(layer.conv, field, default) for field, default in (("stride", 1), ("padding", 0)))
        conv = FixedConv(quantized.weight, quantized.bias, _pair(stride), _pair(padding))
        self.fixed.add(conv_name, conv, stream)
        current = conv_name
        if pools_currents:
            window = (POOL_KERNEL, POOL_STRIDE, POOL_PADDING)
            pool = CurrentPool(*window, quantized.low, quantized.high)
            current = self.fixed.add(f"{path}.{layer.pool_path}", pool, conv_name)
        lif = FixedLIF(quantized.neuron.decay, quantized.neuron.threshold, population)
        self.fixed.add(population, lif, current)
        if layer.pool is None or pools_currents:
            return population
        pool = SpikePool(_pair(POOL_KERNEL), _pair(POOL_STRIDE), _pair(POOL_PADDING))
        return self.fixed.add(f"{path}.{layer.pool_path}", pool, population)

    def _head(self, stream: list[str]) -> None:
        head = self.model.head
        try:
            weight, bias, certificate = quantize_head("head", head.weight, head.bias, self.tokens, (0, len(stream)))
        except ValueError as error:
            raise ExportError(f"head: {error}") from error
        self.certificates.append(certificate)
        self.fixed.add(OUTPUT, Readout(weight, bias), stream)
        logit_scale = certificate.scale / (self.tokens * self.config.time_steps)
        self.fixed.encoding = replace(self.fixed.encoding, logit_scale=logit_scale)


def attention_neuron(name: str, neuron: Neuron) -> Gate | FixedLIF:
    """The neuron of Q-K attention on a sum of spikes.

    If one spike suffices (v_threshold / gain <= 1) it fires whenever there is any and never holds charge: an OR.
    """
    if neuron.v_threshold / neuron.input_gain <= 1:
        return Gate(0)
    fixed = FixedNeuron.of(neuron, 1.0)
    return FixedLIF(fixed.decay, fixed.threshold, name)


def _input_scale(name: str, calibration: Tensor) -> float:
    largest = calibration.abs().max().item() if calibration.numel() else 0.0
    if not 0 < largest < float("inf"):
        raise ExportError(f"{name}: the largest magnitude of the calibration images is {largest}; give real images")
    return largest / INPUT_LIMIT


def _pair(value: int | tuple[int, ...] | torch.Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
