import copy

import pytest
import torch
from published import golden_model, lively_model, small_config

import export
from export.ladder.folding import check_folding
from qkformer.models.layers import Layered

WRONG = {
    "running_mean was passed as running_var": {"running_var": lambda bn: bn.running_mean},
    "running_mean and running_var are exchanged": {
        "running_var": lambda bn: bn.running_mean,
        "running_mean": lambda bn: bn.running_var,
    },
    "running_var was passed as running_mean": {"running_mean": lambda bn: bn.running_var},
    "running_mean is not subtracted": {"running_mean": lambda bn: 0 * bn.running_mean},
    "eps is not added to running_var": {"eps": lambda bn: 0.0},
    "the bias of the BatchNorm is dropped": {"bias": lambda bn: torch.nn.Parameter(0 * bn.bias)},
}


@pytest.fixture(scope="module")
def model():
    """Statistics that can be exchanged: all means are positive, and no variance is 1."""
    model = lively_model(small_config(attention="self"))
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.running_mean.abs_().add_(0.1)
    return model


def folded_with(model, name, fields):
    """The folded model of another one, in which one BatchNorm has other numbers."""
    other = copy.deepcopy(model)
    bn = other.get_submodule(name)
    values = {field: value(bn) for field, value in fields.items()}
    for field, value in values.items():
        setattr(bn, field, value)
    return export.fold_model(other)


@pytest.mark.parametrize("cause", WRONG)
@pytest.mark.parametrize("layer", ["patch_embed1.proj", "stage1.0.tssa.q", "stage2.0.mlp.mlp2"])
def test_wrong_formulas(cause, layer, model):
    (error,) = check_folding(model, folded_with(model, f"{layer}_bn", WRONG[cause]))
    assert error.layer == f"{layer}_conv"
    assert error.cause.kind == "folding"
    assert error.cause.text == cause
    assert error.error > 1e-9


def test_a_dropped_bias_of_the_convolution(model):
    other = copy.deepcopy(model)
    bias = other.get_submodule("stage1.0.tssa.proj_conv").bias
    with torch.no_grad():
        bias.add_(1.0)
    folded = export.fold_model(other)
    with torch.no_grad():
        bias.add_(-1.0)
    (error,) = check_folding(other, folded)
    assert error.layer == "stage1.0.tssa.proj_conv"
    assert error.cause.text == "the folded weight and bias do not compute bn(conv(x))"


@pytest.mark.parametrize("name", ["qkformer-cifar10", "spikformer-4-384"])
def test_every_kind_of_layer_is_folded_right(name):
    """1-d and 2-d convolutions and linear layers, with a bias and without."""
    model = golden_model(name)
    layers = [layer for module in model.modules() if isinstance(module, Layered) for layer in module.layers()]
    folded = export.fold_model(model)
    assert check_folding(model, folded) == ()
    assert len({type(layer.conv) for layer in layers}) >= 2
