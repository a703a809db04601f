"""Is every BatchNorm folded right? Each folded layer against PyTorch's own convolution and BatchNorm, on one probe."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from hardware.parity.explanation import Cause
from hardware.parity.results import FoldingError
from qkformer import SpikingTransformer
from qkformer.models.layers import Layered

from ..network.float_layers import FloatConv
from ..network.float_network import FloatNetwork

ConvolutionModule = nn.Conv1d | nn.Conv2d | nn.Linear
BatchNormModule = nn.BatchNorm1d | nn.BatchNorm2d
Formula = tuple[Tensor, Tensor, float, Tensor, Tensor]

PROBES = 4
SIDE = 3  # of a probe's map
TOLERANCE = 1e-9  # relative, in float64; rounding alone leaves about 1e-14


@torch.no_grad()
def check_folding(model: SpikingTransformer, folded: FloatNetwork) -> tuple[FoldingError, ...]:
    """The layers of a model in eval mode that are not folded right, in order of execution, each with its cause."""
    layers = {
        f"{path}.{layer.conv_path}": layer
        for path, module in model.named_modules()
        if isinstance(module, Layered)
        for layer in module.layers()
    }
    errors = []
    for node in folded.nodes:
        if node.name not in layers:
            continue
        layer, module = layers[node.name], cast(FloatConv, folded.get_submodule(node.name))
        conv, bn = copy.deepcopy(layer.conv).double(), copy.deepcopy(layer.bn).double()
        weight, bias = module.weight.reshape(conv.weight.shape), module.bias
        probe = _probe(conv)
        wanted, found = _normalized(conv, bn, probe), _replaced(conv, weight, bias)(probe)
        error = ((found - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny)).item()
        if not error <= TOLERANCE:
            errors.append(FoldingError(node.name, error, _cause(conv, bn, weight, bias)))
    return tuple(errors)


def _probe(conv: ConvolutionModule) -> Tensor:
    """Inputs that no two different linear maps agree on, but by chance."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(conv, nn.Linear):
        shape: tuple[int, ...] = (PROBES, SIDE, conv.in_features)
    else:
        shape = (PROBES, conv.in_channels, *[max(SIDE, k) for k in conv.kernel_size])
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _normalized(conv: ConvolutionModule, bn: BatchNormModule, probe: Tensor) -> Tensor:
    """bn(conv(probe)); a Linear has its channels last, where BatchNorm does not look for them."""
    if isinstance(conv, nn.Linear):
        return bn(conv(probe).transpose(1, 2)).transpose(1, 2)
    return bn(conv(probe))


def _replaced(conv: ConvolutionModule, weight: Tensor, bias: Tensor) -> ConvolutionModule:
    """The convolution with another weight and bias."""
    other = copy.deepcopy(conv)
    other.weight, other.bias = nn.Parameter(weight), nn.Parameter(bias)
    return other


def _cause(conv: ConvolutionModule, bn: BatchNormModule, weight: Tensor, bias: Tensor) -> Cause:
    """The wrong formula that gives just these weights and biases."""
    for text, (mean, variance, epsilon, conv_bias, bn_bias) in _formulas(conv, bn).items():
        gain = bn.weight / torch.sqrt(variance + epsilon)
        wanted_weight = conv.weight * gain.view(-1, *[1] * (conv.weight.ndim - 1))
        wanted_bias = bn_bias - mean * gain + conv_bias * gain
        if _close(weight, wanted_weight) and _close(bias, wanted_bias):
            return Cause("folding", text)
    return Cause("folding", "the folded weight and bias do not compute bn(conv(x))")


def _formulas(conv: ConvolutionModule, bn: BatchNormModule) -> dict[str, Formula]:
    """Running mean, running variance, epsilon, bias of the convolution and of the BatchNorm, of each wrong formula."""
    mean, variance = cast("tuple[Tensor, Tensor]", (bn.running_mean, bn.running_var))  # or it was not folded
    nothing = torch.zeros_like(bn.bias)
    own = conv.bias if conv.bias is not None else nothing
    return {
        "running_mean was passed as running_var": (mean, mean, bn.eps, own, bn.bias),
        "running_mean and running_var are exchanged": (variance, mean, bn.eps, own, bn.bias),
        "running_var was passed as running_mean": (variance, variance, bn.eps, own, bn.bias),
        "running_mean is not subtracted": (nothing, variance, bn.eps, own, bn.bias),
        "eps is not added to running_var": (mean, variance, 0.0, own, bn.bias),
        "the bias of the convolution is dropped": (mean, variance, bn.eps, nothing, bn.bias),
        "the bias of the BatchNorm is dropped": (mean, variance, bn.eps, own, nothing),
    }


def _close(found: Tensor, wanted: Tensor) -> bool:
    scale = wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny)
    return bool(torch.isfinite(wanted).all() and ((found - wanted).abs().max() <= TOLERANCE * scale))
