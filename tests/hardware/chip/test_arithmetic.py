from fractions import Fraction
from math import trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware import LOIHI_2, RangeError, logits_of
from hardware.chip.arithmetic import (
    check_integer,
    check_range,
    check_weights,
    decay_membrane,
    encode_bias,
    weight_exponent,
)


@given(st.lists(st.integers(-(2**23), 2**23), min_size=1), st.integers(0, 4096))
def test_decay_is_rounded_toward_zero(membrane, decay):
    expected = [trunc(Fraction(v * (4096 - decay), 4096)) for v in membrane]
    assert decay_membrane(np.array(membrane), decay, LOIHI_2).tolist() == expected


@given(st.lists(st.integers(-4096, 4095), min_size=1, max_size=5), st.integers(0, 1))
def test_bias_is_a_mantissa_times_a_power_of_two(bias, doubled):
    bias = np.array(bias) << doubled
    mantissa, exponent = encode_bias("layer", bias.astype(np.float64), LOIHI_2)
    assert (mantissa.astype(np.int64) << exponent).tolist() == (64 * bias).tolist()
    assert -4096 <= mantissa.min() <= mantissa.max() <= 4095
    assert 0 <= exponent <= 7


def test_bias_may_have_the_fractions_of_the_membrane():
    mantissa, exponent = encode_bias("layer", np.array([1 / 64, -2.5]), LOIHI_2)
    assert (mantissa.tolist(), exponent) == ([1, -160], 0)


@pytest.mark.parametrize(
    ("bias", "parts"),
    [
        ([1, 4097], ["4097", "-4096 .. 4095", "8190"]),
        ([1, 4096], ["4096", "-4096 .. 4095"]),  # even, but the other is not
        ([8192], ["8192"]),
        ([-8194], ["-8194"]),
        ([0.1], ["0.1", "not an integer"]),
        ([np.nan], ["nan", "not an integer"]),
        ([-np.inf], ["-inf", "not an integer"]),
    ],
)
def test_bias_that_does_not_fit(refuses, bias, parts):
    with refuses(RangeError, "stage1.conv: bias", *parts):
        encode_bias("stage1.conv", np.array(bias), LOIHI_2)


@pytest.mark.parametrize(
    ("weights", "exponent"),
    [([1, 2], 0), ([2, -4], 1), ([128], 7), ([256, 512], 7), ([0, 0], 0), ([-6, 12], 1), ([], 0)],
)
def test_weight_exponent(weights, exponent):
    assert weight_exponent(np.array(weights), LOIHI_2) == exponent


@pytest.mark.parametrize("weights", [[-128, 127], [-256, 254], [-128 * 128, 127 * 128], [0]])
def test_weights_that_fit(weights):
    check_weights("layer", np.array(weights, np.float32), LOIHI_2)


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ([1, 128], ["128", "-128 .. 127"]),
        ([-129, 1], ["-129", "-128 .. 127"]),
        ([2, 256], ["256", "-256 .. 254"]),
        ([128 * 128], ["16384", "-16384 .. 16256"]),
        ([1.5], ["1.5", "quantize"]),
        ([np.nan], ["nan"]),
        ([np.inf], ["inf"]),
    ],
)
def test_weights_that_do_not_fit(refuses, weights, parts):
    with refuses(RangeError, "stage1.conv: weight", *parts):
        check_weights("stage1.conv", np.array(weights), LOIHI_2)


def test_range_includes_its_ends_and_nothing_else(refuses):
    check_range("layer", "value", np.array([-3, 5]), -3, 5)
    check_range("layer", "value", np.array([]), -3, 5)
    for outside in (-4, 6, np.nan, np.inf):
        with refuses(RangeError, "layer: value", f"{outside:g}", "-3 .. 5"):
            check_range("layer", "value", np.array([0, outside]), -3, 5)


def test_whole_numbers(refuses):
    check_integer("layer", "value", np.array([1.0, -2.0]))
    check_integer("layer", "value", np.array([1, 2], np.int8))
    with refuses(RangeError, "layer: value 0.25"):
        check_integer("layer", "value", np.array([1.0, 0.25]))


def test_logits_are_the_same_for_torch_and_numpy():
    torch = pytest.importorskip("torch")
    output = np.random.default_rng(0).integers(-(2**20), 2**20, (4, 3, 10))
    scale = 0.1 / 3
    expected = [[scale * int(output[:, b, c].sum()) for c in range(10)] for b in range(3)]
    assert logits_of(output, scale).tolist() == expected
    assert logits_of(torch.from_numpy(output).double(), scale).tolist() == expected
