"""Float model -> float network: the same function as named nodes, BatchNorm folded."""

from __future__ import annotations

import copy

import torch
from torch import nn

from hardware.graph.encoding import Encoding
from qkformer import Neuron, SpikingTransformer
from qkformer.kernels import set_backend
from qkformer.models.layer import Layer
from qkformer.models.layers import POOL_KERNEL, POOL_PADDING, POOL_STRIDE
from qkformer.models.logic import Mask
from qkformer.models.nodes import Terms

from ..errors import ExportError, naming
from ..network.float_layers import Convolution, FloatConv, FloatHead, Head
from ..network.float_network import FloatNetwork
from ..network.layers import CurrentPool, GroupSum, SelfAttentionProduct, TokenSum
from ..network.node_network import INPUT, OUTPUT
from .batchnorm import check_finite, fold, geometry


@torch.no_grad()
def fold_model(model: SpikingTransformer, input_shape: tuple[int, int, int] | None = None) -> FloatNetwork:
    """The float network of a model in eval mode, which is left as it is: bn(conv(x)) = W x + b, all in float64.

    input_shape: [C, H, W], the configuration's unless given. Raises ExportError for a model whose residuals add
    currents or whose samples leak into each other, and for weights that are NaN or infinite.
    """
    return Folder(model, FloatNetwork(model_encoding(model, input_shape))).fold().double()


def model_encoding(model: SpikingTransformer, input_shape: tuple[int, int, int] | None = None) -> Encoding:
    """How a model is fed and read: the logits are a mean over tokens and time, of which the head gives the sum."""
    config = model.config
    channels, height, width = input_shape or (config.in_channels, config.image_size, config.image_size)
    steps = token_count(model, height, width) * config.time_steps
    return Encoding(
        config.name, (channels, height, width), config.time_steps, logit_scale=1.0 / steps, events=config.events
    )


def token_count(model: SpikingTransformer, height: int, width: int) -> int:
    """How many tokens the head of a model sees."""
    return (height // model.config.stride) * (width // model.config.stride)


class Folder:
    """A `NodeBuilder`: adds to a network what a model says itself to become."""

    def __init__(self, model: SpikingTransformer, network: FloatNetwork) -> None:
        config = model.config
        if config.residual != "activation-before-addition":
            raise ExportError(f"{config.name}: a {config.residual} residual adds currents whose scales differ")
        if config.batch_leak:
            raise ExportError(f"{config.name}: batch_leak lets samples leak into each other; create it with False")
        self.model, self.network = model, network

    def fold(self) -> FloatNetwork:
        """The network with all nodes of the model."""
        self.model.emit(self, (INPUT,))
        set_backend(self.network, "torch")  # Triton has no float64
        return self.network.eval()

    def convolution(self, layer: Layer) -> Convolution:
        """The convolution of a layer."""
        return FloatConv(*fold(layer.conv, layer.bn), *geometry(layer.conv))

    def readout(self, head: nn.Linear, tokens: int) -> Head:
        """The head, as a sum over tokens: its bias counts `tokens` times."""
        check_finite(head.weight, head.bias)
        return FloatHead(head.weight.double(), head.bias.double() * tokens)

    def layer(self, path: str, layer: Layer, x: Terms) -> Terms:
        """Convolution, neuron and max-pool."""
        window = (POOL_KERNEL, POOL_STRIDE, POOL_PADDING)
        name = f"{path}.{layer.conv_path}"
        with naming(name):
            x = self._add(name, self.convolution(layer), x)
        if layer.pool is not None and not layer.pool_after_lif:
            x = self._add(f"{path}.{layer.pool_path}", CurrentPool(*window), x)
        assert layer.lif is not None  # only pre-activation has layers without one
        x = self.neuron(f"{path}.{layer.lif_path}", layer.lif, x)
        if layer.pool is None or not layer.pool_after_lif:
            return x
        return self._add(f"{path}.{layer.pool_path}", copy.deepcopy(layer.pool), x)

    def neuron(self, name: str, neuron: Neuron, x: Terms) -> Terms:
        """The neuron as it is."""
        return self._add(name, copy.deepcopy(neuron), x)

    def group_sum(self, name: str, groups: int, x: Terms) -> Terms:
        """A GroupSum."""
        return self._add(name, GroupSum(groups), x)

    def token_sum(self, name: str, x: Terms) -> Terms:
        """A TokenSum."""
        return self._add(name, TokenSum(), x)

    def mask(self, name: str, mask: Mask, attention: Terms, keys: Terms) -> Terms:
        """The mask as it is."""
        return self._add(name, copy.deepcopy(mask), attention, keys)

    def self_attention(self, name: str, heads: int, scale: float, query: Terms, key: Terms, value: Terms) -> Terms:
        """A SelfAttentionProduct."""
        return self._add(name, SelfAttentionProduct(heads, scale), query, key, value)

    def head(self, name: str, head: nn.Linear, x: Terms) -> Terms:
        """The readout; every network calls it `output`."""
        _, height, width = self.network.encoding.input_shape
        with naming(name):
            return self._add(OUTPUT, self.readout(head, token_count(self.model, height, width)), x)

    def _add(self, name: str, module: nn.Module, *arguments: Terms) -> Terms:
        return (self.network.add(name, module, *arguments),)
