"""Parameters out of all proportion: one line that names the layer, never integers that have wrapped."""

import pytest
import torch
from torch import nn

from export import quantize
from hardware import RangeError
from qkformer import load_checkpoint, load_digits


@pytest.fixture
def model():
    """The shipped model, to be spoilt."""
    return load_checkpoint("qkformer-digits")[0]


@pytest.fixture
def images():
    return load_digits("test")[0][:2]


def spoil(model, name, value):
    with torch.no_grad():
        model.get_parameter(name).view(-1)[0] = value
    return model


@pytest.mark.parametrize("value", [1e30, -1e30, 2.0**33, 1e7])
def test_a_bias_of_the_head_that_no_int32_holds(model, images, value, refuses):
    with refuses(RangeError, "head", f"bias {abs(value):g}", "2147483647"):
        quantize(spoil(model, "head.bias", value), images)


def test_a_weight_that_leaves_no_threshold(model, images, refuses):
    with refuses(RangeError, "patch_embed1.proj_lif", "threshold -1", "0 .. 131071"):
        quantize(spoil(model, "patch_embed1.proj_conv.weight", 1e30), images)


def test_a_head_without_weights_keeps_its_bias(model, images):
    nn.init.zeros_(model.head.weight)
    fixed = quantize(model, images)
    assert torch.allclose(fixed(images).float(), model.head.bias.expand(2, -1), atol=1e-3)
