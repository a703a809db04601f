"""Quantization-aware training: the forward of the fixed model, the backward of the float one.

The float model's parameters are trained. Each forward pass folds BatchNorm and rounds the result to int8 weights,
integer biases and thresholds by `quantize`'s own rules, and runs them through the fixed model's integer neurons, so the
loss sees exactly the network that `quantize` gives. Backward, every rounding counts as the identity (straight-through
estimator, Bengio et al., arXiv:1308.3432) with the scale held constant, and every spike has the float neuron's
surrogate gradient at the integer neuron's membrane.

BatchNorm's statistics are frozen: it is folded with its running ones, in training mode too. With those of a batch, the
integers would depend on the batch, and the network that is trained would not be the one that is deployed
(Krishnamoorthi, arXiv:1806.08342, freezes them in the end for that reason). Its weight and bias are trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hardware.chip import LOIHI_2, Chip
from hardware.graph.encoding import INPUT_LIMIT, Encoding
from qkformer import SpikingTransformer

from ..errors import ExportError
from ..network.node_network import OUTPUT, NodeNetwork
from ..sources.live import follow_model
from .network import calibrate, fold_for
from .trained import trained_modules
from .trained_layers import TrainedReadout
from .walk import find_rules


class QuantizationAware(NodeNetwork):
    """A float model whose forward pass is that of its fixed model, to be trained in its stead.

    `QuantizationAware(model, calibration)(images)` equals `quantize(model, calibration)(images)` in every spike of
    every population and in every logit, whatever the weights; gradients reach the parameters of `model`, which are
    this module's only ones. Images [B, C, H, W], or event counts [B, T, C, H, W] -> logits [B, classes], float32.

    model: trained in place; its mode (train or eval) changes nothing here. calibration: as in `quantize`; the scale of
    the inputs is all that is taken from it. chip: as in `quantize`.
    Raises ExportError as `quantize` does, also when weights become NaN or infinite on the way, and for PLIF neurons,
    whose time constant is not trained here; RangeError where a layer that is not certified overflows; InputError for
    images that the model does not take.
    """

    def __init__(self, model: SpikingTransformer, calibration: Tensor, *, chip: Chip = LOIHI_2) -> None:
        if model.config.neuron == "plif":
            raise ExportError(f"{model.config.name}: the time constants of plif neurons are not trained here; use lif")
        network = fold_for(model, calibration, follow_model)
        super().__init__(calibrate(network.encoding, calibration))
        self.model = model
        modules: dict[str, nn.Module] = {}
        with torch.no_grad():
            for rule in find_rules(network, self.encoding, chip):
                modules |= trained_modules(rule)
        for node in network.nodes:
            self.add(node.name, modules[node.name], *node.arguments)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.head.weight.device

    def encode_as(self, encoding: Encoding, images: Tensor | np.ndarray) -> Tensor:
        """What `Encoding.encode` gives, float32 and on the device of the images. [T, B, C, H, W]."""
        images = torch.as_tensor(images)
        self.model.check_images(images)
        if tuple(images.shape[-3:]) != tuple(encoding.input_shape) or not torch.isfinite(images).all():
            encoding.present(images.detach().cpu())  # says what is wrong
        values = (images.double() / encoding.input_scale).round().clamp(-INPUT_LIMIT, INPUT_LIMIT).to(self.dtype)
        return values.transpose(0, 1) if encoding.events else values.expand(encoding.time_steps, *values.shape)

    def forward(self, images: Tensor | np.ndarray) -> Tensor:
        """Logits [B, classes], computed in integers even under autocast, whose sums bfloat16 could not hold."""
        images = torch.as_tensor(images)
        with torch.autocast(images.device.type, enabled=False):
            output = self.run(self.encode(images)).double()
            readout = cast(TrainedReadout, self.get_submodule(OUTPUT))
            encoding = replace(self.encoding, logit_scale=readout.scale * self.encoding.logit_scale)
            logits: Tensor = encoding.logits(output)
            return logits.float()
