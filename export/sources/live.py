"""Float model -> a float network that follows it: its weights are the model's parameters of the moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hardware.graph.encoding import Encoding
from qkformer import SpikingTransformer
from qkformer.models.layer import Layer

from ..network.float_layers import Convolution, Head
from ..network.float_network import FloatNetwork
from .batchnorm import check_finite, fold, geometry
from .fold import Folder, model_encoding


def follow_model(model: SpikingTransformer, input_shape: tuple[int, int, int] | None = None) -> FloatNetwork:
    """As `fold_model`, but convolutions and head are folded at every call, differentiable in the model's parameters.

    The network has no parameters of its own. Raises what `fold_model` does, of weights also when it is called.
    """
    return _Follower(model, _LiveNetwork(model_encoding(model, input_shape), model)).fold()


class LiveConv(Convolution):
    """A layer's convolution and BatchNorm, folded at every call."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(*geometry(layer.conv))
        self.layer = layer  # a tuple, so that its parameters stay the float model's alone
        self.weight_and_bias()  # what has none is refused at once

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """What `fold` gives now."""
        return fold(self.layer.conv, self.layer.bn)


class LiveHead(Head):
    """A model's head, its bias counted `tokens` times."""

    def __init__(self, head: nn.Linear, tokens: int) -> None:
        super().__init__()
        self.head = (head,)  # a tuple, so that its parameters stay the float model's alone
        self.tokens = tokens
        self.weight_and_bias()  # as above

    def weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """The parameters as they are now."""
        (head,) = self.head
        check_finite(head.weight, head.bias)
        return head.weight.double(), head.bias.double() * self.tokens


class _LiveNetwork(FloatNetwork):
    def __init__(self, encoding: Encoding, model: SpikingTransformer) -> None:
        super().__init__(encoding)
        self.model = (model,)  # a tuple, as above

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        (model,) = self.model
        return model.head.weight.device


class _Follower(Folder):
    """Puts modules that follow the model where `Folder` puts its numbers."""

    def convolution(self, layer: Layer) -> Convolution:
        return LiveConv(layer)

    def readout(self, head: nn.Linear, tokens: int) -> Head:
        return LiveHead(head, tokens)
