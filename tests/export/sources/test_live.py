"""The float network that follows a model equals the one that is folded, whatever the weights become."""

import pytest
import torch
from published import lively_model, small_config

from export import ExportError, fold_model
from export.sources.live import follow_model


@pytest.fixture
def model():
    return lively_model(small_config(attention="self"))


def test_follows_the_model(model):
    images = torch.rand(2, 2, 6, 6, generator=torch.manual_seed(0))
    network = follow_model(model)
    assert torch.equal(network(images), fold_model(model)(images))
    before = network(images)
    with torch.no_grad():
        model.head.bias.add_(1.0)
        model.stage1[0].tssa.q_bn.bias.sub_(0.3)
    assert torch.equal(network(images), fold_model(model)(images))
    assert not torch.equal(network(images), before)


def test_has_no_parameters_of_its_own_and_reaches_the_models(model):
    network = follow_model(model)
    assert not list(network.parameters())
    assert not network.state_dict()
    weight, bias = network.get_submodule("stage1.0.tssa.q_conv").weight_and_bias()
    (weight.sum() + bias.sum()).backward()
    layer = model.stage1[0].tssa
    assert all(parameter.grad.any() for parameter in (layer.q_conv.weight, layer.q_bn.weight, layer.q_bn.bias))


def test_weights_that_are_not_finite(model, refuses):
    model.head.bias.data[0] = torch.nan
    with refuses(ExportError, "head: ", "NaN or infinite"):
        follow_model(model)
