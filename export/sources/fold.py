"""Float model -> the same network with BatchNorm folded, as named nodes: what can be exported without quantization."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hardware.graph.encoding import Encoding
from qkformer import Neuron, SpikingTransformer
from qkformer.models.attention import SelfAttention
from qkformer.models.layers import Layer

from ..network.fixed_layers import CurrentPool, Gate, SelfAttentionProduct
from ..network.node_network import NodeNetwork
from .batchnorm import fold
from .walk import WINDOW, ModelWalk, Modules, geometry, pools_currents


class FoldedConv(nn.Module):
    """A convolution with BatchNorm folded in: [T, B, C_in, H, W] -> [T, B, C_out, H', W'], W x + b."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        return F.conv2d(x.flatten(0, 1), self.weight, self.bias, self.stride, self.padding).unflatten(0, x.shape[:2])


class FoldedReadout(nn.Module):
    """The head: sum over tokens, then an affine map at each time step. [T, B, C, H, W] -> [T, B, classes]."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """W (sum of x over tokens) + b."""
        return F.linear(x.sum((3, 4)), self.weight, self.bias)


class FoldedModel(NodeNetwork):
    """A float model as named nodes, in float64. Called like the float model; spikes alike up to rounding."""

    dtype = torch.float64

    def encode(self, images: Tensor) -> np.ndarray:
        """The images as they are, float64 [T, B, C, H, W]."""
        return self.encoding.present(torch.as_tensor(images).detach().cpu())


@torch.no_grad()
def fold_model(model: SpikingTransformer, input_shape: tuple[int, int, int] | None = None) -> FoldedModel:
    """The folded model of a float model in eval mode. input_shape: [C, H, W], the configuration's unless given.

    Raises ExportError as `quantize` does.
    """
    config = model.config
    shape = input_shape or (config.in_channels, config.image_size, config.image_size)
    folded = FoldedModel(Encoding(config.name, tuple(shape), config.time_steps, events=config.events))
    walk = _Folder(model, folded)
    walk.run()
    return folded.double().eval()


class _Folder(ModelWalk):
    """Puts the float model's numbers into the modules."""

    def layer_modules(self, path: str, layer: Layer, stream: list[str]) -> Modules:
        pool = CurrentPool(*WINDOW, low=0, high=0) if pools_currents(layer) else None
        return Modules(FoldedConv(*fold(layer.conv, layer.bn), *geometry(layer.conv)), copy.deepcopy(layer.lif), pool)

    def attention_neuron(self, path: str, neuron: Neuron) -> Gate | Neuron:
        return Gate(0) if neuron.v_threshold / neuron.input_gain <= 1 else copy.deepcopy(neuron)

    def self_attention(self, path: str, attention: SelfAttention) -> tuple[SelfAttentionProduct, Neuron]:
        product = SelfAttentionProduct(attention.heads, self.config.attention_scale)
        return product, copy.deepcopy(attention.attn_lif)

    def readout(self, stream: list[str]) -> FoldedReadout:
        head, steps = self.model.head, self.tokens * self.config.time_steps
        encoding = self.network.encoding
        self.network.encoding = Encoding(**{**vars(encoding), "logit_scale": 1.0 / steps})
        return FoldedReadout(head.weight.double(), head.bias.double() * self.tokens)
