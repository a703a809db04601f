"""The rules on networks that no model gave: wiring that has integers, and wiring that has none."""

import pytest
import torch
from torch import nn

import export
import hardware
from export import ExportError
from export.network.fixed_layers import FixedLIF
from export.network.float_layers import FloatConv, FloatHead
from export.network.float_network import FloatNetwork
from export.network.layers import CurrentPool, SelfAttentionProduct
from hardware import Encoding
from qkformer import IF, LIF


def conv(outputs=3, inputs=1):
    weight = torch.randn(outputs, inputs, 3, 3, generator=torch.manual_seed(inputs))
    return FloatConv(weight, torch.full((outputs,), 0.1), (1, 1), (1, 1))


def started():
    """An image, a convolution and its neuron."""
    network = FloatNetwork(Encoding("foreign", (1, 5, 4), time_steps=3, logit_scale=0.5))
    network.add("conv", conv(), "input")
    network.add("lif", LIF(2.0, 0.3), "conv")
    return network


def test_a_network_from_elsewhere_is_quantized_and_executed_alike():
    network = started()
    network.add("conv1", conv(3, 3), "lif")
    network.add("if", IF(0.4), "conv1")
    network.add("output", FloatHead(torch.randn(2, 3, generator=torch.manual_seed(0)), torch.zeros(2)), ["lif", "if"])
    images = torch.rand(4, 1, 5, 4, generator=torch.manual_seed(1))
    fixed = export.quantize(network, images)
    assert fixed.certificate.certified
    assert fixed.encoding.logit_scale == 0.5 * fixed.certificate.layers[-1].scale
    trace = hardware.interpret(export.to_nir(fixed), fixed.encode(images))
    reference = export.reference_trace(fixed, images)
    assert hardware.compare(reference, trace).mismatches == 0
    assert all(spikes.any() for spikes in reference.values())
    torch.testing.assert_close(fixed(images), network(images), rtol=0, atol=1.5)


def test_a_neuron_that_reads_the_image_counts_in_its_scale():
    network = FloatNetwork(Encoding("foreign", (1, 2, 2), time_steps=4))
    network.add("lif", IF(1.0), "input")
    fixed = export.quantize(network, torch.full((1, 1, 2, 2), 127 / 64))
    lif = fixed.get_submodule("lif")
    assert isinstance(lif, FixedLIF)
    assert (lif.decay, lif.threshold) == (0, 63)
    images = torch.tensor([0.25, 0.5, 1.0, -1.0]).view(1, 1, 2, 2)
    assert export.reference_trace(fixed, images)["lif"].sum(0).flatten().tolist() == [1, 2, 4, 0]


def two_neurons(network):
    network.add("a", LIF(), network.add("conv1", conv(3, 3), "lif"))
    network.add("b", LIF(), "conv1")


def two_convolutions(network):
    network.add("conv1", conv(3, 3), "lif")
    network.add("conv2", conv(3, 3), "lif")
    network.add("a", LIF(), ["conv1", "conv2"])


def no_neuron(network):
    network.add("conv2", conv(3, 3), network.add("conv1", conv(3, 3), "lif"))
    network.add("a", LIF(), "conv2")


def nothing(network):
    network.add("conv1", conv(3, 3), "lif")


def pooled_spikes(network):
    network.add("pool", CurrentPool(3, 2, 1), "lif")


def spikes_and_image(network):
    network.add("conv1", conv(3, 3), ["lif", "input"])
    network.add("a", LIF(), "conv1")


def attention_to_a_sum(network):
    network.add("attn_product", SelfAttentionProduct(1, 0.125), "lif", "lif", ["lif", "lif"])
    network.add("a", LIF(), "attn_product")


def strange(network):
    network.add("strange", nn.Identity(), "lif")


@pytest.mark.parametrize(
    ("extend", "parts"),
    [
        (two_neurons, ["conv1", "read by a, b", "alone"]),
        (two_convolutions, ["conv1", "read by a", "alone"]),
        (no_neuron, ["conv1", "conv2", "not a neuron"]),
        (nothing, ["conv1", "nothing"]),
        (pooled_spikes, ["pool", "CurrentPool", "no integer form"]),
        (spikes_and_image, ["lif and input", "worth"]),
        (attention_to_a_sum, ["attn_product", "lif + lif", "one population"]),
        (strange, ["strange", "Identity", "no integer form"]),
    ],
)
def test_wiring_without_an_integer_form(extend, parts, refuses):
    network = started()
    extend(network)
    with refuses(ExportError, *parts):
        export.quantize(network, torch.ones(1, 1, 5, 4))
