"""A model's way from its first convolution to its head, as the nodes of a network.

quantize.py and fold_model.py follow the same way and differ in the numbers that they put into the modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import nn

from qkformer import SpikingTransformer
from qkformer.models.attention import ChannelAttention, SelfAttention
from qkformer.models.layers import POOL_KERNEL, POOL_PADDING, POOL_STRIDE, Layer, Layered

from ..errors import ExportError, naming
from ..network.fixed_layers import GroupSum, Mask, SpikePool, TokenSum
from ..network.node_network import INPUT, OUTPUT, NodeNetwork

WINDOW = (POOL_KERNEL, POOL_STRIDE, POOL_PADDING)


class Modules(NamedTuple):
    """What one layer becomes: convolution, neuron, and a max-pool of currents between them where there is one."""

    conv: nn.Module
    neuron: nn.Module
    current_pool: nn.Module | None = None


class ModelWalk(ABC):
    """Visits a model in execution order. A stream is a list of populations whose spikes are summed."""

    def __init__(self, model: SpikingTransformer, network: NodeNetwork):
        config = model.config
        if config.residual != "activation-before-addition":
            raise ExportError(f"{config.name}: a {config.residual} residual adds currents, which do not go over edges")
        if config.batch_leak:
            raise ExportError(f"{config.name}: batch_leak lets samples leak into each other; create it with False")
        self.model, self.config, self.network = model, config, network
        self.tokens = 0  # of the stage under way

    @abstractmethod
    def layer_modules(self, path: str, layer: Layer, stream: list[str]) -> Modules:
        """The modules of a layer that reads a stream."""

    @abstractmethod
    def attention_neuron(self, path: str, neuron: nn.Module) -> nn.Module:
        """The neuron of Q-K attention, on a sum of spikes."""

    @abstractmethod
    def self_attention(self, path: str, attention: SelfAttention) -> tuple[nn.Module, nn.Module]:
        """The product of self-attention and the neuron that reads it."""

    @abstractmethod
    def readout(self, stream: list[str]) -> nn.Module:
        """The head."""

    def run(self) -> None:
        """Visit everything."""
        stream, stride = [INPUT], 1
        _, height, width = self.network.encoding.input_shape
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
        self.network.add(OUTPUT, self.readout(stream), stream)

    def _patch_embed(self, path: str, embed: Layered, stream: list[str]) -> list[str]:
        outputs = [stream]
        for name in embed.main:
            outputs.append([self._layer(path, embed.layer(name), outputs[-1])])
        if embed.embed.shortcut == "none":
            return outputs[-1]
        start = outputs[embed.shortcut_from + 1]
        return [*outputs[-1], *([self._layer(path, embed.shortcut, start)] if embed.shortcut else start)]

    def _attention(self, path: str, attention: Layered, stream: list[str]) -> str:
        add, gate = self.network.add, f"{path}.attn_lif"
        if isinstance(attention, SelfAttention):
            spikes = [self._layer(path, attention.layer(name), stream) for name in "qkv"]
            product, neuron = self.self_attention(path, attention)
            passed = add(gate, neuron, add(f"{path}.attn_product", product, *spikes))
        else:
            queries = self._layer(path, attention.layer("q"), stream)
            keys = self._layer(path, attention.layer("k"), stream)
            total = TokenSum() if isinstance(attention, ChannelAttention) else GroupSum(attention.heads)
            add(gate, self.attention_neuron(gate, attention.attn_lif), add(f"{path}.attn_sum", total, queries))
            passed = add(f"{path}.mask", Mask(), gate, keys)
        return self._layer(path, attention.layer("proj"), [passed])

    def _layer(self, path: str, layer: Layer, stream: list[str]) -> str:
        """Convolution, neuron and max-pool; returns the population that comes out."""
        conv_name, population = f"{path}.{layer.conv_path}", f"{path}.{layer.lif_path}"
        with naming(conv_name):
            modules = self.layer_modules(path, layer, stream)
        current = self.network.add(conv_name, modules.conv, stream)
        if modules.current_pool is not None:
            current = self.network.add(f"{path}.{layer.pool_path}", modules.current_pool, current)
        self.network.add(population, modules.neuron, current)
        if not layer.pool_after_lif:
            return population
        return self.network.add(f"{path}.{layer.pool_path}", SpikePool(*(2 * (size,) for size in WINDOW)), population)


def pools_currents(layer: Layer) -> bool:
    """Whether the layer's max-pool comes before its neuron."""
    return layer.pool is not None and not layer.pool_after_lif


def geometry(conv: nn.Module) -> tuple[tuple[int, int], tuple[int, int]]:
    """(stride, padding) of a convolution as (height, width); those of a Linear are those of a 1x1 convolution."""
    stride, padding = getattr(conv, "stride", 1), getattr(conv, "padding", 0)
    return tuple((v, v) if isinstance(v, int) else (v[0], v[-1]) for v in (stride, padding))
