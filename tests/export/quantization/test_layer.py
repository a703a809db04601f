"""The integer form of a layer fits Loihi's formats, and its certificate is a bound that is met and never passed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.network.fixed_layers import FixedLIF
from export.network.stream import Stream
from export.quantization.head import quantize_head
from export.quantization.layer import LayerQuantizer
from export.quantization.neuron import FixedNeuron
from hardware.chip import LOIHI_2
from hardware.chip.arithmetic import check_weights, encode_bias
from qkformer import IF, LIF, PLIF

neurons = st.one_of(
    st.builds(LIF, st.sampled_from([1.0, 4 / 3, 2.0, 4.0]), st.floats(0.3, 3.0)),
    st.builds(IF, v_threshold=st.floats(0.3, 3.0)),
)


def quantize_layer(weight, bias, neuron, *, input_range, input_scale, time_steps, chip=LOIHI_2):
    stream = Stream(("x",), input_scale, *input_range)
    return LayerQuantizer("conv", "lif", neuron, stream, time_steps, compared=False, chip=chip)(weight, bias)


@st.composite
def layers(draw):
    """A quantized layer of two outputs, its float weight and its settings."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    shape = (2, draw(st.integers(1, 40)), 3, 3)
    weight = torch.randn(shape, generator=random, dtype=torch.float64) * draw(st.sampled_from([0.01, 0.3, 5.0]))
    bias = torch.randn(2, generator=random, dtype=torch.float64) * draw(st.sampled_from([0.0, 1.0, 30.0]))
    neuron = draw(neurons)
    settings = {
        "input_range": draw(st.sampled_from([(0, 1), (0, 3), (-127, 127)])),
        "input_scale": draw(st.sampled_from([1.0, 1 / 127])),
        "time_steps": draw(st.integers(1, 8)),
    }
    return quantize_layer(weight, bias, neuron, **settings), weight, neuron, settings


def extreme_inputs(weight, input_range):
    """Inputs that make the sums of each output largest, and least: two arrays [outputs, inputs]."""
    least, largest = input_range
    weight = weight.flatten(1)
    return (
        torch.where(weight > 0, largest, least).double(),
        torch.where(weight > 0, least, largest).double(),
    )


@given(layers())
def test_numbers_fit_and_the_threshold_is_exact(example):
    layer, weight, neuron, settings = example
    check_weights("conv", layer.weight.numpy(), LOIHI_2)
    encode_bias("conv", layer.bias.numpy(), LOIHI_2)
    assert torch.equal(layer.weight, layer.weight.round())
    assert layer.weight.abs().max() <= 127
    assert 0 <= layer.neuron.threshold <= 131071
    scale = layer.certificate.scale
    assert layer.neuron.threshold == math.ceil(neuron.v_threshold / (neuron.input_gain * scale) - 1e-9) - 1
    assert layer.neuron.decay == round(4096 * (1 - neuron.decay))
    error = (layer.weight * scale - weight * settings["input_scale"]).abs().max()
    assert error <= 0.5 * scale * (1 + 1e-9)


@given(layers())
def test_sum_bound_is_met_and_never_passed(example):
    layer, _, _, settings = example
    weight = layer.weight.flatten(1).double()
    largest, least = ((weight * x).sum(1) for x in extreme_inputs(weight, settings["input_range"]))
    met = max(sums.abs().max() for sums in (largest, least, largest + layer.bias, least + layer.bias))
    assert layer.certificate.sum_bound == met
    assert layer.certificate.certified == (
        max(layer.certificate.sum_bound, layer.certificate.membrane_bound) < LOIHI_2.sum_limit
    )
    random = torch.Generator().manual_seed(0)
    low, high = settings["input_range"]
    x = torch.randint(low, high + 1, (200, weight.shape[1]), generator=random).double()
    for sums in (x @ weight.T, x @ weight.T + layer.bias):
        assert sums.abs().max() <= met


class Membrane(FixedLIF):
    """A fixed neuron that remembers how far its membrane went."""

    furthest = 0.0

    def _check(self, what, values):
        super()._check(what, values)
        if what.startswith("membrane"):
            self.furthest = max(self.furthest, values.abs().max().item())


@given(layers(), st.integers(0, 1000))
def test_membrane_bound_is_never_passed(example, seed):
    layer, _, _, settings = example
    weight, steps = layer.weight.flatten(1).double(), settings["time_steps"]
    random = np.random.default_rng(seed)
    neuron = Membrane(layer.neuron.decay, layer.neuron.threshold)
    extremes = torch.cat(extreme_inputs(weight, settings["input_range"]))  # of either output, high and low
    low, high = settings["input_range"]
    noise = torch.from_numpy(random.integers(low, high + 1, (16, weight.shape[1]))).double()
    choices = torch.cat([extremes, noise]) @ weight.T + layer.bias
    sequences = random.integers(0, len(choices), (steps, 100))
    sequences[:, :4] = np.arange(4)  # the same extreme at every step
    if layer.certificate.certified:
        neuron(choices[sequences].float())
        assert neuron.furthest <= layer.certificate.membrane_bound


def test_membrane_bound_is_met_from_below():
    """An inhibited neuron without leak sinks by the same amount at every step."""
    layer = quantize_layer(
        torch.full((1, 10, 1, 1), -1.0),
        torch.zeros(1),
        IF(),
        input_range=(0, 1),
        input_scale=1.0,
        time_steps=8,
    )
    assert layer.certificate.sum_bound == 10 * 127
    assert layer.certificate.membrane_bound == 8 * 10 * 127
    neuron = Membrane(layer.neuron.decay, layer.neuron.threshold)
    neuron(torch.full((8, 1), -1270.0))
    assert neuron.furthest == layer.certificate.membrane_bound


def test_membrane_bound_is_met_from_above():
    """A membrane that just did not fire meets the largest sum."""
    layer = quantize_layer(
        torch.ones(1, 3, 1, 1),
        torch.zeros(1),
        IF(v_threshold=2.0),
        input_range=(0, 1),
        input_scale=1.0,
        time_steps=4,
    )
    assert layer.neuron.threshold == 2 * 127 - 1
    assert layer.certificate.membrane_bound == layer.neuron.threshold + 3 * 127


def big_layer(inputs):
    ones = torch.ones(1, inputs, 1, 1, dtype=torch.float64)
    return quantize_layer(ones, torch.zeros(1), LIF(), input_range=(0, 1), input_scale=1.0, time_steps=4)


def test_layer_too_big_for_the_finest_scale_is_scaled_down_until_it_is_certified():
    assert big_layer(1000).certificate.largest_weight == 127
    scaled = big_layer(2000).certificate
    assert 31 <= scaled.largest_weight < 127
    assert scaled.certified
    assert max(scaled.sum_bound, scaled.membrane_bound) > 0.9 * LOIHI_2.sum_limit


def test_layer_that_would_become_too_coarse_keeps_its_scale_and_is_reported():
    certificate = big_layer(5000).certificate
    assert certificate.largest_weight == 127
    assert certificate.sum_bound == 5000 * 127
    assert not certificate.certified


@pytest.mark.parametrize(
    ("neuron", "scale", "threshold"),
    [
        (LIF(2.0, 1.0), 0.25, 7),  # fires at v >= 1: the sum 2 / 0.25 = 8 is enough, 7 is not
        (LIF(2.0, 1.0), 0.3, 6),  # 6.67 is not whole: 7 is enough, 6 is not
        (LIF(2.0, 0.3), 0.1, 5),  # 0.3 / 0.5 / 0.1 is 6 but for rounding
        (IF(v_threshold=1.0), 1.0, 0),
        (PLIF(4.0, 1.0), 0.5, 7),
    ],
)
def test_threshold_of_a_neuron(neuron, scale, threshold):
    assert FixedNeuron.of(neuron, scale, LOIHI_2).threshold == threshold


def test_head_sums_over_tokens():
    weight, bias = torch.tensor([[1.0, -2.0], [0.5, 0.25]]), 16 * torch.tensor([0.1, -3.0])
    head = quantize_head("head", weight, bias, Stream(("x", "y", "z"), 1.0, 0, 3), tokens=16, chip=LOIHI_2)
    certificate = head.certificate
    assert head.weight.tolist() == [[64, -127], [32, 16]]
    assert head.bias.tolist() == [round(0.1 * 16 * 63.5), -3 * 16 * 63.5]
    assert certificate.scale == 2 / 127
    assert certificate.sum_bound == 127 * 48  # without the bias it is larger
    assert certificate.limit == 1 << 23
