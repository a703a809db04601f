"""Streams: what sums of spikes are worth, and how far they reach."""

import pytest
import torch

from export import ExportError
from export.network.float_layers import FloatConv
from export.network.float_network import FloatNetwork
from export.network.layers import GroupSum, TokenSum
from export.network.stream import Stream, find_streams, one_spike_suffices, read_stream
from hardware import Encoding
from qkformer import IF, LIF
from qkformer.models.logic import Mask, SpikePool

SPIKES = Stream(("a",), 1.0, 0, 1)


def test_addition_adds_the_ranges():
    assert SPIKES + Stream(("b", "c"), 1.0, -1, 3) == Stream(("a", "b", "c"), 1.0, -1, 4)


def test_streams_of_other_worth_are_not_added(refuses):
    with refuses(ExportError, "a and input", "worth 1", "0.5"):
        SPIKES + Stream(("input",), 0.5, -127, 127)


@pytest.mark.parametrize(
    ("neuron", "stream", "suffices"),
    [
        (LIF(2.0, 0.5), SPIKES, True),
        (LIF(2.0, 0.51), SPIKES, False),
        (IF(1.0), SPIKES, True),
        (IF(1.0), Stream(("a",), 0.5, 0, 1), False),  # one spike is worth only half
        (IF(1.0), Stream(("a",), 1.0, -1, 1), False),  # a negative sum is kept
    ],
)
def test_one_spike_suffices(neuron, stream, suffices):
    assert one_spike_suffices(neuron, stream) is suffices


def test_streams_of_a_network():
    network = FloatNetwork(Encoding("small", (1, 4, 4), time_steps=2))
    network.add("conv", FloatConv(torch.ones(6, 1, 1, 1), torch.zeros(6), (1, 1), (0, 0)), "input")
    network.add("lif", LIF(), "conv")
    network.add("groups", GroupSum(2), ["lif", "lif"])
    network.add("tokens", TokenSum(), "lif")
    network.add("gate", LIF(), "groups")
    network.add("mask", Mask(), "gate", ["lif", "lif"])
    network.add("pool", SpikePool((2, 2), (2, 2), (0, 0)), "mask")
    streams = find_streams(network, network.shapes(), {})
    ranges = {name: (stream.low, stream.high) for name, stream in streams.items()}
    assert ranges.pop("groups") == (0, 6)
    assert ranges.pop("tokens") == (0, 16)
    assert ranges == {"lif": (0, 1), "gate": (0, 1), "mask": (0, 2), "pool": (0, 2)}
    assert read_stream(streams, ("lif", "tokens")) == Stream(("lif", "tokens"), 1.0, 0, 17)
    assert read_stream(streams, ("lif", "conv")) is None  # a current has no scale yet
