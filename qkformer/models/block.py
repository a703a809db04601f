"""A transformer block: attention, then two 1x1 layers, each added to the residual stream."""

from __future__ import annotations

from torch import Tensor, nn

from .attention import ATTENTIONS, Attention
from .config import Config, StageConfig
from .layers import Layered
from .nodes import NodeBuilder, Terms

LAYER_NORM_EPSILON = 1e-6


class MLP(Layered):
    """Two layers over the channels of each token, `mlp_ratio` times as wide in the middle."""

    def __init__(self, config: Config, stage: StageConfig) -> None:
        super().__init__(config)
        self.names = (f"{config.mlp_name}1", f"{config.mlp_name}2")
        hidden = stage.dim * stage.mlp_ratio
        neuron = "before" if self.pre_activation else "after"
        for name, inputs, outputs in zip(self.names, (stage.dim, hidden), (hidden, stage.dim), strict=True):
            self.add_layer(name, inputs, outputs, kind=config.mlp_layer, bias=True, neuron=neuron)

    def forward(self, x: Tensor) -> Tensor:
        """Spike counts [T, B, C, H, W] -> spikes (pre-activation: currents -> currents) [T, B, C, H, W]."""
        return self.run(self.names[1], self.run(self.names[0], x))

    def emit(self, network: NodeBuilder, path: str, x: Terms) -> Terms:
        """What `forward` computes, as nodes; path: that of this module."""
        hidden = self.emit_layer(network, path, self.names[0], x)
        return self.emit_layer(network, path, self.names[1], hidden)


class TransformerBlock(nn.Module):
    """x <- x + attention(x);  x <- x + mlp(x).

    With activation before addition x is a count of spikes, with pre-activation a current.
    The attention goes by the published attribute name of its stage (`tssa`, `ssa`, `attn`).
    """

    def __init__(self, config: Config, stage: StageConfig) -> None:
        super().__init__()
        self.attention_name = stage.attention_name
        self.add_module(stage.attention_name, ATTENTIONS[stage.attention](config, stage))
        self.mlp = MLP(config, stage)
        if "block norms" in config.unused:
            self.norm1 = nn.LayerNorm(stage.dim, LAYER_NORM_EPSILON)
            self.norm2 = nn.LayerNorm(stage.dim, LAYER_NORM_EPSILON)

    @property
    def attention(self) -> Attention:
        """The attention module, whatever its attribute is called."""
        return getattr(self, self.attention_name)

    def forward(self, x: Tensor) -> Tensor:
        """Residual stream [T, B, C, H, W] -> residual stream [T, B, C, H, W]."""
        x = x + self.attention(x)
        return x + self.mlp(x)

    def emit(self, network: NodeBuilder, path: str, x: Terms) -> Terms:
        """What `forward` computes, as nodes; path: that of this module."""
        x = x + self.attention.emit(network, f"{path}.{self.attention_name}", x)
        return x + self.mlp.emit(network, f"{path}.mlp", x)
