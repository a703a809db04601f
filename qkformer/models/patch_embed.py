"""Spiking patch embedding: SPEDS of QKFormer and SPS of Spikformer, the same module under different data."""

from __future__ import annotations

from torch import Tensor

from .config import SHORTCUT, Config, PatchEmbedConfig
from .layer import Layer
from .layers import Layered
from .nodes import NodeBuilder, Terms


class PatchEmbed(Layered):
    """3x3 convolutions with max-pools, and a shortcut round the last of them.

    SPEDS (arXiv:2403.16552) sends the shortcut through a strided 1x1 convolution and pools currents,
    before the neuron; SPS (arXiv:2209.15425) adds it as it is and pools spikes, after the neuron.
    Deployable models pool spikes as well. Under a pre-activation residual each neuron fires before its
    convolution; the convolution of the image itself (`takes_image`) has none.
    """

    def __init__(self, config: Config, embed: PatchEmbedConfig, in_channels: int, takes_image: bool) -> None:
        super().__init__(config)
        self.embed = embed
        self.main = tuple(layer.name + layer.suffix for layer in embed.layers)
        widths = [in_channels, *(layer.channels for layer in embed.layers)]
        for layer, inputs in zip(embed.layers, widths, strict=False):
            neuron = "after"
            if self.pre_activation:
                neuron = "none" if takes_image and layer is embed.layers[0] else "before"
            self.add_layer(
                layer.name, inputs, layer.channels, kernel=3, pool=layer.pool, suffix=layer.suffix, neuron=neuron
            )
        if embed.shortcut == "projection":
            inputs = widths[embed.shortcut_from + 1]
            neuron = "before" if self.pre_activation else "after"
            self.add_layer(SHORTCUT, inputs, widths[-1], stride=embed.shortcut_stride, neuron=neuron)

    @property
    def shortcut(self) -> Layer | None:
        """The layer on the shortcut; None where the shortcut is the identity or missing."""
        return self.layer(SHORTCUT) if self.embed.shortcut == "projection" else None

    @property
    def shortcut_from(self) -> int:
        """The shortcut starts at the output of this layer of `main`, or at the input for -1."""
        return self.embed.shortcut_from

    def forward(self, x: Tensor) -> Tensor:
        """Image or counts [T, B, C, H, W] -> spike counts (pre-activation: currents) [T, B, C', H', W']."""
        outputs = [x]
        for name in self.main:
            outputs.append(self.run(name, outputs[-1]))
        if self.embed.shortcut == "none":
            return outputs[-1]
        start = outputs[self.shortcut_from + 1]
        return outputs[-1] + (self.run(SHORTCUT, start) if self.shortcut else start)

    def emit(self, network: NodeBuilder, path: str, x: Terms) -> Terms:
        """What `forward` computes, as nodes; path: that of this module."""
        outputs = [x]
        for name in self.main:
            outputs.append(self.emit_layer(network, path, name, outputs[-1]))
        if self.embed.shortcut == "none":
            return outputs[-1]
        start = outputs[self.shortcut_from + 1]
        return outputs[-1] + (self.emit_layer(network, path, SHORTCUT, start) if self.shortcut else start)
