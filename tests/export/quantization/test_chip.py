"""The integers fit the chip that they are made for, whatever its numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from export import QuantizationAware
from export.network.fixed_layers import FixedLIF
from hardware.chip import LOIHI_2
from hardware.chip.arithmetic import check_weights, encode_bias
from qkformer import record_spikes

CHIPS = {
    "few bits of decay": replace(LOIHI_2, decay_bits=8),
    "small sums": replace(LOIHI_2, sum_limit=1 << 16),
    "weights of 6 bits": replace(LOIHI_2, weight_range=(-32, 31)),
    "small biases": replace(LOIHI_2, bias_mantissa_range=(-256, 255)),
    "small thresholds": replace(LOIHI_2, threshold_range=(0, 255)),
}


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 2, 6, 6, generator=torch.manual_seed(3))


@pytest.fixture(scope="module")
def model():
    return lively_model(replace(small_config(attention="channel"), tau=3.0), 1)


@pytest.mark.parametrize("name", CHIPS)
def test_integers_fit_the_chip(name, model, images):
    chip = CHIPS[name]
    fixed, usual = export.quantize(model, images, chip=chip), export.quantize(model, images)
    assert fixed.chip is chip
    assert usual.chip is LOIHI_2
    for layer in fixed.certificate:
        if layer.threshold is None:
            continue
        conv, lif = fixed.get_submodule(layer.name), fixed.get_submodule(layer.population)
        check_weights(layer.name, conv.weight.numpy(), chip)
        encode_bias(layer.name, conv.bias.numpy(), chip)
        assert layer.largest_weight <= chip.largest_weight
        assert lif.chip is chip
        assert lif.decay == round(chip.decay_unity / 3)
        assert 0 <= layer.threshold <= chip.threshold_range[1]
        assert layer.limit in (chip.sum_limit, chip.sum_limit // 2)
    assert name == "few bits of decay" or fixed.certificate != usual.certificate


def test_smaller_sums_are_certified_or_reported(model, images, refuses):
    fixed = export.quantize(model, images, chip=replace(LOIHI_2, sum_limit=1 << 12))
    usual = {layer.name: layer for layer in export.quantize(model, images).certificate}
    layers = {layer.name: layer for layer in fixed.certificate}
    for name, limit in (("patch_embed2.proj3_conv", 1 << 12), ("patch_embed2.proj4_conv", 1 << 11)):  # the other pools
        assert layers[name].certified
        assert layers[name].largest_value < layers[name].limit == limit < usual[name].largest_value
        assert layers[name].scale > usual[name].scale
    assert [name for name, layer in layers.items() if not layer.certified] == ["patch_embed1.proj_conv"]
    with refuses(hardware.RangeError, "patch_embed1.proj_lif: ", "the limit is 4096"):
        fixed(images)


def test_a_neuron_counts_in_the_chips_decay_and_limit(refuses):
    chip = replace(LOIHI_2, decay_bits=2, fraction_bits=0, sum_limit=100)
    lif = FixedLIF(1, 7, "lif", chip)  # three fourths are kept, rounded to zero
    assert lif(torch.tensor([[7.0], [2.0], [4.0]])).flatten().tolist() == [0, 0, 1]  # 7, 5 + 2, 5 + 4
    with refuses(hardware.RangeError, "lif: ", "reaches 100", "the limit is 100"):
        lif(torch.tensor([[100.0]]))


def test_the_graph_is_executed_alike(model, images):
    """85/256 is a decay that Loihi 2 has as well, 1360/4096, though it has a finer third of its own."""
    fixed = export.quantize(model, images, chip=CHIPS["few bits of decay"])
    trace = hardware.interpret(export.to_nir(fixed, allow_large=True), fixed.encode(images))
    assert hardware.compare(export.reference_trace(fixed, images), trace).mismatches == 0


@pytest.mark.parametrize("name", CHIPS)
def test_training_is_for_the_same_chip(name, model, images):
    qat, fixed = (make(model, images, chip=CHIPS[name]) for make in (QuantizationAware, export.quantize))
    with torch.no_grad(), record_spikes(qat) as trace:
        logits = qat(images)
    assert torch.equal(logits, fixed(images))
    reference = export.reference_trace(fixed, images)
    assert all(np.array_equal(trace[population], spikes) for population, spikes in reference.items())
