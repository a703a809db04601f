import pytest
import torch
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st

from export.network.fixed_layers import FixedConv, FixedLIF, Gate, Readout
from export.network.layers import GroupSum, TokenSum
from hardware import RangeError
from qkformer.models.logic import Mask, SpikePool


def whole(*shape, low=-127, high=128, seed=0):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def test_convolution_is_exact_where_float32_is_not_obviously():
    weight, bias = whole(8, 64, 3, 3), whole(8, low=-4095, high=4096, seed=1)
    x = whole(2, 3, 64, 6, 6, seed=2)
    found = FixedConv(weight, bias, (2, 1), (1, 1))(x.float())
    expected = torch.nn.functional.conv2d(x.flatten(0, 1).double(), weight.double(), bias.double(), (2, 1), (1, 1))
    assert torch.equal(found.double(), expected.unflatten(0, (2, 3)))


@pytest.mark.parametrize("largest", [3, 2000])  # small numbers show how the membrane is rounded
@random_examples(1000)
@given(data=st.data(), decay=st.integers(0, 4096))
def test_lif_by_its_equation(largest, data, decay):
    """In Python's integers, the membrane in 1/64."""
    currents = data.draw(st.lists(st.integers(-largest, largest), min_size=8, max_size=8))
    threshold = data.draw(st.integers(0, largest))
    expected, membrane = [], 0
    for current in currents:
        kept = abs(membrane) * (4096 - decay) // 4096
        membrane = (kept if membrane > 0 else -kept) + 64 * current
        expected.append(int(membrane > 64 * threshold))
        membrane = 0 if expected[-1] else membrane
    spikes = FixedLIF(decay, threshold)(torch.tensor(currents).view(-1, 1, 1).float())
    assert spikes.view(-1).tolist() == expected


def test_lif_comparison_is_strict():
    assert FixedLIF(2048, 5)(torch.tensor([[5.0, 6.0]])).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("currents", "parts"),
    [
        ([131072.0], ["sum of inputs reaches 131072"]),
        ([-131072.0], ["sum of inputs reaches 131072"]),
        ([-100000.0, -31072.0], ["membrane at time step 1 reaches 131072"]),
    ],
)
def test_lif_over_the_limit(refuses, currents, parts):
    with refuses(RangeError, "stage1.q_lif: ", *parts, "the limit is 131072"):
        FixedLIF(0, 131071, "stage1.q_lif")(torch.tensor(currents).view(-1, 1))
    just_below = [c + 1 if c < 0 else c - 1 for c in currents]
    assert not FixedLIF(0, 131071, "stage1.q_lif")(torch.tensor(just_below).view(-1, 1)).any()


def test_gate():
    sums = torch.arange(4.0).view(1, 1, 4)
    assert Gate(0)(sums).tolist() == [[[0, 1, 1, 1]]]
    assert Gate(1)(sums).tolist() == [[[0, 0, 1, 1]]]


def test_sums():
    x = whole(2, 3, 4, 2, 5, low=0, high=2).float()
    groups = GroupSum(2)(x)
    assert torch.equal(groups[:, :, 0], x[:, :, 0] + x[:, :, 1])
    assert torch.equal(groups[:, :, 1], x[:, :, 2] + x[:, :, 3])
    tokens = TokenSum()(x)
    assert tokens.shape == x.shape
    assert torch.equal(tokens[..., 1, 3], x.sum((3, 4)))
    assert torch.equal(tokens[..., 0, 0], x.sum((3, 4)))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_mask(groups):
    attention, keys = whole(2, 3, groups, 2, 2, low=0, high=2).float(), whole(2, 3, 4, 2, 2, low=0, high=2, seed=1)
    found = Mask()(attention, keys.float())
    for channel in range(4):
        expected = keys[:, :, channel].bool() & attention[:, :, channel * groups // 4].bool()
        assert torch.equal(found[:, :, channel].bool(), expected)


def test_spike_pool():
    spikes = torch.zeros(1, 1, 1, 4, 4)
    spikes[..., 1, 1] = 1
    pooled = SpikePool((3, 3), (2, 2), (1, 1))(spikes)
    assert pooled[0, 0, 0].tolist() == [[1, 1], [1, 1]]
    spikes[..., 1, 1], spikes[..., 3, 3] = 0, 1
    assert SpikePool((3, 3), (2, 2), (1, 1))(spikes)[0, 0, 0].tolist() == [[0, 0], [0, 1]]


def test_readout_sums_over_tokens_at_each_step():
    weight, bias, x = whole(3, 4), whole(3, seed=1), whole(2, 5, 4, 2, 3, low=0, high=3, seed=2)
    expected = torch.einsum("tbchw,kc->tbk", x, weight) + bias
    assert torch.equal(Readout(weight, bias)(x.float()).long(), expected)
