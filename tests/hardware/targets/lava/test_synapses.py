"""Each fast synapse gives what the slow linear node does, in a type that holds its sums."""

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import conv, pool, whole_numbers

from hardware import LOIHI_2
from hardware.graph.flat import FlatGraph
from hardware.graph.nodes import memoryless
from hardware.targets.lava import synapses


def apply_linear(node, x):
    return memoryless("node", node).apply(node, x)


def make_synapse(node, in_shape, out_shape, values, unit):
    form = memoryless("node", node).synapse("node", node, in_shape, out_shape)
    return synapses.make_synapse(FlatGraph({"node": node}, {}, {}, LOIHI_2), "node", form, values, unit)


def assert_equal(node, in_shape, unit, values):
    wanted = apply_linear(node, values[None].astype(float))[0] * unit
    synapse, dtype = make_synapse(node, in_shape, wanted.shape, (values.min(), values.max()), unit)
    out = np.full(wanted.shape, np.nan, dtype)
    for _ in range(2):  # buffers are used again
        synapse(values.astype(np.float32), out)
        assert np.array_equal(out, wanted)


@given(
    size=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    dilation=st.sampled_from([(1, 1), (1, 1), (1, 2)]),
    groups=st.sampled_from([1, 1, 2]),
    unit=st.sampled_from([1, 64]),
    largest=st.sampled_from([1, 127, 5000]),
    seed=st.integers(0, 2**16),
)
def test_convolutions(size, kernel, stride, padding, dilation, groups, unit, largest, seed):
    if dilation[1] * (kernel[1] - 1) + 1 > size[1] + 2 * padding[1]:
        dilation = (1, 1)
    weight = whole_numbers(seed, 4, 2 // groups, *kernel)
    node = conv(weight, stride=stride, padding=padding, dilation=dilation, groups=groups, size=size)
    values = np.random.default_rng(seed).integers(0, largest + 1, (2, *size))
    assert_equal(node, (2, *size), unit, values)


@pytest.mark.parametrize("unit", [1, 64])
@pytest.mark.parametrize(
    "window", [((3, 3), (2, 2), (1, 1)), ((4, 3), (4, 3), (0, 0)), ((7, 5), (1, 1), (3, 2)), ((2, 1), (1, 1), (1, 0))]
)
def test_sums_over_windows(window, unit):
    values = np.random.default_rng(0).integers(0, 5, (3, 4, 3))
    assert_equal(pool(nir.SumPool2d, *window), (3, 4, 3), unit, values)


def test_linear_and_scale():
    values = np.arange(6)
    assert_equal(nir.Linear(whole_numbers(1, 4, 6).astype(float)), (6,), 64, values)
    assert_equal(nir.Affine(whole_numbers(1, 4, 6).astype(float), np.zeros(4)), (6,), 1, values)
    assert_equal(nir.Scale(np.array([-3.0, 0, 1, 2, -128, 127])), (6,), 64, values)


def test_sums_beyond_float32_are_kept_in_float64():
    node = nir.Linear(np.full((1, 2), 127.0))
    _, small = make_synapse(node, (2,), (1,), (0, 1), 64)
    synapse, large = make_synapse(node, (2,), (1,), (0, 2**20 + 1), 64)
    assert (small, large) == (np.float32, np.float64)
    out = np.empty(1, large)
    synapse(np.array([2**20 + 1, 1], np.float32), out)
    assert out[0] == 127 * 64 * (2**20 + 2)
