import pytest
import torch
from torch import nn

from export.sources.batchnorm import fold
from hardware.errors import InputError


def random_batchnorm(bn):
    """In eval mode, with statistics as after training."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (bn.weight.data, bn.bias.data, bn.running_mean):
        tensor.normal_(generator=generator)
    bn.running_var.uniform_(0.1, 2.0, generator=generator)
    return bn.eval()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_conv2d(bias, stride, padding):
    conv = nn.Conv2d(3, 5, 3, stride, padding, bias=bias).double()
    bn = random_batchnorm(nn.BatchNorm2d(5).double())
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    weight, offset = fold(conv, bn)
    assert weight.dtype == offset.dtype == torch.float64
    torch.testing.assert_close(nn.functional.conv2d(x, weight, offset, stride, padding), bn(conv(x)))


@pytest.mark.parametrize("conv", [nn.Conv1d(3, 5, 1), nn.Linear(3, 5)], ids=["conv1d", "linear"])
def test_layers_over_tokens_become_1x1_convolutions(conv):
    conv, bn = conv.double(), random_batchnorm(nn.BatchNorm1d(5).double())
    tokens = torch.randn(2, 3, 7, dtype=torch.float64)
    linear = isinstance(conv, nn.Linear)
    expected = bn(conv(tokens.transpose(1, 2)).transpose(1, 2) if linear else conv(tokens))
    weight, offset = fold(conv, bn)
    assert weight.shape == (5, 3, 1, 1)
    torch.testing.assert_close(nn.functional.conv2d(tokens.unsqueeze(3), weight, offset).squeeze(3), expected)


def test_layers_stay_as_they_were():
    conv, bn = nn.Conv2d(1, 1, 1), random_batchnorm(nn.BatchNorm2d(1))
    before = [tensor.clone() for module in (conv, bn) for tensor in module.state_dict().values()]
    fold(conv, bn)
    after = [tensor for module in (conv, bn) for tensor in module.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["conv.weight", "conv.bias", "bn.running_mean", "bn.bias"])
def test_numbers_that_are_not_finite(refuses, value, where):
    layer = nn.ModuleDict({"conv": nn.Conv2d(2, 2, 1), "bn": nn.BatchNorm2d(2)})
    layer.state_dict()[where].view(-1)[0] = value
    with refuses(InputError, "NaN or infinite"):
        fold(layer["conv"], layer["bn"])


def test_groups(refuses):
    with refuses(InputError, "2 groups", "groups=1"):
        fold(nn.Conv2d(2, 2, 1, groups=2), nn.BatchNorm2d(2))


def test_statistics_that_are_not_kept(refuses):
    with refuses(InputError, "running statistics", "track_running_stats=True"):
        fold(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
