"""The float model with every BatchNorm folded, and the check that each layer still computes the same currents.

PyTorch's own BatchNorm is the reference: both are run in float64 on the same probe.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hardware.causes import Cause
from hardware.ladder import FoldingError
from qkformer import SpikingTransformer
from qkformer.layers import Layer, Layered

from . import fold_batchnorm

PROBES = 4
SIDE = 3  # of a probe's map
TOLERANCE = 1e-9  # relative, in float64; rounding alone leaves about 1e-14


def layers_of(model: nn.Module) -> Iterator[tuple[str, Layer, Layered]]:
    """Every convolution with its BatchNorm: its module path, the layer and the module that holds it."""
    for path, module in model.named_modules():
        if isinstance(module, Layered):
            for layer in module.layers():
                yield f"{path}.{layer.conv_path}", layer, module


@torch.no_grad()
def folded_model(model: SpikingTransformer) -> SpikingTransformer:
    """A copy whose convolutions carry their BatchNorms: conv <- fold(conv, bn), bn <- identity.

    Raises ValueError, with the layer's name, where a layer cannot be folded.
    """
    folded = copy.deepcopy(model)
    for name, layer, module in layers_of(folded):
        weight, bias = _fold(name, layer)
        layer.conv.weight.copy_(weight.reshape(layer.conv.weight.shape))
        layer.conv.bias = nn.Parameter(bias.to(layer.conv.weight.dtype))
        setattr(module, layer.bn_path, nn.Identity())
    return folded


@torch.no_grad()
def check_folding(model: SpikingTransformer) -> tuple[FoldingError, ...]:
    """The layers of a model in eval mode that are not folded right, in the order of their modules, with the cause."""
    errors = []
    for name, layer, _ in layers_of(model):
        conv, bn = copy.deepcopy(layer.conv).double(), copy.deepcopy(layer.bn).double()
        weight, bias = _fold(name, layer)
        probe = _probe(conv)
        wanted = bn(conv(probe)) if not isinstance(conv, nn.Linear) else bn(conv(probe).transpose(1, 2)).transpose(1, 2)
        found = _apply(conv, weight, bias, probe)
        error = ((found - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny)).item()
        if not error <= TOLERANCE:
            errors.append(FoldingError(name, error, _cause(conv, bn, weight, bias)))
    return tuple(errors)


def _fold(name: str, layer: Layer) -> tuple[Tensor, Tensor]:
    try:
        return fold_batchnorm.fold(layer.conv, layer.bn)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _probe(conv: nn.Module) -> Tensor:
    """Inputs that no two different linear maps agree on, but by chance."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(conv, nn.Linear):
        shape = (PROBES, SIDE, conv.in_features)
    else:
        shape = (PROBES, conv.in_channels, *[max(SIDE, k) for k in conv.kernel_size])
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _apply(conv: nn.Module, weight: Tensor, bias: Tensor, probe: Tensor) -> Tensor:
    replaced = copy.deepcopy(conv)
    replaced.weight, replaced.bias = nn.Parameter(weight.reshape(conv.weight.shape)), nn.Parameter(bias)
    return replaced(probe)


def _cause(conv: nn.Module, bn: nn.Module, weight: Tensor, bias: Tensor) -> Cause:
    """The wrong formula that gives just these weights and biases."""
    for text, (mean, variance, epsilon, conv_bias, bn_bias) in _formulas(conv, bn).items():
        gain = bn.weight / torch.sqrt(variance + epsilon)
        wanted_weight = conv.weight * gain.view(-1, *[1] * (conv.weight.ndim - 1))
        wanted_bias = bn_bias - mean * gain + conv_bias * gain
        if _close(weight.reshape(conv.weight.shape), wanted_weight) and _close(bias, wanted_bias):
            return Cause("folding", text)
    return Cause("folding", "the folded weight and bias do not compute bn(conv(x))")


def _formulas(conv: nn.Module, bn: nn.Module) -> dict[str, tuple]:
    """Running mean, running variance, epsilon, bias of the convolution and of the BatchNorm, of each wrong formula."""
    mean, variance, nothing = bn.running_mean, bn.running_var, torch.zeros_like(bn.bias)
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
