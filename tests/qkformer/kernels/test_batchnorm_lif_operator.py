import pytest
import torch
from torch import nn

from qkformer import LIF, PLIF, create_model, record_spikes
from qkformer.kernels import KernelError, batchnorm_lif, lif, set_backend
from qkformer.kernels.batchnorm_lif_operator import batchnorm_lif_forward
from qkformer.kernels.batchnorm_lif_reference import scale_and_shift


def outputs(*shape, dtype=torch.float32, device="cpu", seed=0):
    """Of a convolution, with a scale and a shift for each channel."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator).to(device, dtype)
    scale, shift = torch.randn(2, shape[2], generator=generator).to(device) + 0.5
    return x, scale, shift


def assert_equal(*arguments):
    expected = batchnorm_lif(*arguments, backend="torch")
    found = batchnorm_lif(*arguments, backend="triton")
    assert found.dtype == arguments[0].dtype
    assert torch.equal(found, expected)
    return found


def some_batchnorm(channels, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    norm = nn.BatchNorm2d(channels).eval()
    for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        values.copy_(torch.rand(channels, generator=generator) + 0.25)
    return norm.to(device)


@pytest.mark.parametrize("T", [1, 3, 4, 16, 19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_kernel_equals_reference(device, T, dtype):
    arguments = outputs(T, 3, 5, 7, 3, dtype=dtype, device=device)
    assert 0 < assert_equal(*arguments, 1.5, 0.7).mean() < 1
    assert_equal(*arguments, None, 1.0)


@pytest.mark.parametrize(
    "size", [(1, 1, 1, 1), (2, 65, 3, 3), (2, 6, 31, 17), (2, 1, 40, 1), (0, 3, 2, 2), (4, 6), (3, 5, 7)]
)
def test_channels_of_any_layout(device, size):
    x, *channels = outputs(3, *size, device=device)
    spikes = assert_equal(x, *channels)
    for order in (range(len(size)), *[torch.randperm(len(size)).tolist() for _ in range(2)]):
        memory = [0, *[1 + dimension for dimension in order]]
        back = [memory.index(dimension) for dimension in range(len(memory))]
        y = x.permute(memory).contiguous().permute(back)
        assert torch.equal(assert_equal(y, *channels), spikes)
    assert_equal(x[:, :1].expand_as(x), *channels)
    assert_equal(torch.cat([x, x])[::2], *channels)


def test_it_is_batchnorm_then_lif():
    norm = some_batchnorm(5)
    x, *_ = outputs(4, 3, 5, 7, 2)
    scale, shift = scale_and_shift(norm)
    normalized = norm(x.flatten(0, 1)).unflatten(0, (4, 3))
    torch.testing.assert_close(x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1), normalized)
    spikes = lif(normalized)
    # Both round otherwise; a membrane within 1e-6 of the threshold may differ, and there is none.
    assert torch.equal(batchnorm_lif(x, scale, shift), spikes)
    assert 0 < spikes.mean() < 1


@pytest.mark.parametrize(
    ("shape", "channels", "parts"),
    [
        ((4, 2), 2, ("[T, B, C, ...]", "[4, 2]")),
        ((4, 2, 3, 5), 5, ("[4, 2, 3, 5]", "[5]")),
        ((0, 2, 3), 3, ("T >= 1",)),
    ],
)
def test_wrong_shapes_are_refused(refuses, shape, channels, parts):
    with refuses(KernelError, *parts):
        batchnorm_lif(torch.zeros(shape), torch.ones(channels), torch.ones(channels))


def test_the_operator_is_ordinary(device):
    torch.library.opcheck(batchnorm_lif_forward, (*outputs(3, 2, 5, 4, device=device), 2.0, 1.0))


def calls_of(model, images):
    """The spikes of all populations, and how often a BatchNorm was called."""
    count = [0]
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1)) for norm in norms]
    with record_spikes(model) as trace:
        logits = model(images)
    for hook in hooks:
        hook.remove()
    return trace, count[0], len(norms), logits


def test_a_model_takes_one_kernel_in_evaluation_without_gradients_only(device):
    """Every BatchNorm scales by 2 and shifts by a quarter: exact, so that all ways of rounding agree on every spike."""
    torch.manual_seed(0)
    model = create_model("qkformer-digits", time_steps=2).to(device).eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eps = 0.0
            nn.init.constant_(module.running_var, 0.25)
            nn.init.constant_(module.bias, 0.25)
    images = torch.rand(1, 1, 8, 8, device=device) * 4
    set_backend(model, "torch")
    with torch.no_grad():
        expected, called, norms, logits = calls_of(model, images)
    assert called == norms
    set_backend(model, "triton")
    with torch.no_grad():
        trace, called, *_, found = calls_of(model, images)
    assert called == 0
    assert trace.keys() == expected.keys()
    assert all((trace[name] == expected[name]).all() for name in expected)
    assert torch.equal(found, logits)
    assert sum(spikes.sum() for spikes in expected.values()) > 500


def test_what_one_kernel_may_compute(device):
    x, norm = torch.zeros(2, 1, 3, device=device), some_batchnorm(3, device)
    with torch.no_grad():
        assert LIF(backend="triton").in_one_kernel(norm, x)
        assert not LIF(backend="torch").in_one_kernel(norm, x)
        assert not LIF(backend="triton").in_one_kernel(nn.Identity(), x)
        assert not LIF(backend="triton").in_one_kernel(nn.BatchNorm1d(3), x)
        assert not PLIF(backend="auto").in_one_kernel(norm, x)
    assert not LIF(backend="triton").in_one_kernel(norm, x)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["current", "spike"])
def test_pooled_currents_take_no_kernel_of_their_own(device, pooling):
    embed = create_model("qkformer-digits", pooling=pooling, backend="triton").to(device).eval().patch_embed2
    layer = next(layer for layer in embed.layers() if layer.pool is not None)
    called = []
    layer.bn.register_forward_hook(lambda *_: called.append(True))
    x = torch.rand(2, 1, layer.conv.in_channels, 4, 4, device=device)
    assert embed.run(layer.name, x).shape == (2, 1, layer.conv.out_channels, 2, 2)
    assert bool(called) == (pooling == "current")
