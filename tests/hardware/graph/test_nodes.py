"""Nodes without memory in NumPy against PyTorch in float64, where integers are exact too."""

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import chain, conv, flatten_node, graph, pool, threshold, whole_numbers

from hardware import flatten
from hardware.graph.flat import at_rest
from hardware.graph.nodes import memoryless

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
shifts = st.tuples(st.integers(0, 2), st.integers(0, 2))
seeds = st.integers(0, 1000)


def apply_linear(node, x):
    return memoryless("node", node).apply(node, x)


def _equal(found, expected):
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected.numpy())


@random_examples(200)
@given(seeds, pairs, pairs, shifts, pairs, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_convolution(seed, kernel, stride, padding, dilation, groups, inputs, outputs):
    x = whole_numbers(seed, 2, groups * inputs, 9, 8).astype(np.float64)
    weight = whole_numbers(seed + 1, groups * outputs, inputs, *kernel)
    node = conv(weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight).double(), None, stride, padding, dilation, groups)
    _equal(apply_linear(node, x), expected)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(1, 3), (3, 3), (5, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution_with_named_padding(padding, kernel, dilation):
    x = whole_numbers(0, 2, 2, 9, 9).astype(np.float64)
    weight = whole_numbers(1, 3, 2, *kernel)
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight).double(), padding=padding, dilation=dilation)
    _equal(apply_linear(conv(weight, padding=padding, dilation=dilation), x), expected)


@random_examples(100)
@given(seeds, pairs, pairs, st.data())
def test_pools(seed, kernel, stride, data):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    x = whole_numbers(seed, 2, 3, 7, 8).astype(np.float64)
    average = F.avg_pool2d(torch.from_numpy(x), kernel, stride, padding)
    total = F.avg_pool2d(torch.from_numpy(x), kernel, stride, padding, divisor_override=1)
    _equal(apply_linear(pool(nir.SumPool2d, kernel, stride, padding), x), total)
    _equal(apply_linear(pool(nir.AvgPool2d, kernel, stride, padding), x), average)


def test_vectors():
    x = whole_numbers(0, 4, 5).astype(np.float64)
    weight, bias = whole_numbers(1, 3, 5), whole_numbers(2, 3)
    expected = F.linear(*(torch.from_numpy(a).double() for a in (x, weight, bias)))
    affine = nir.Affine(weight, bias)
    _equal(apply_linear(nir.Linear(weight), x), expected - torch.from_numpy(bias))
    _equal(apply_linear(affine, x) + memoryless("affine", affine).bias(affine), expected)
    _equal(apply_linear(nir.Scale(weight[0]), x), torch.from_numpy(x * weight[0]))


@pytest.mark.parametrize(("start", "end"), [(0, -1), (0, 1), (1, -1), (1, 2), (2, -1), (0, 2)])
def test_flatten_counts_no_batch(start, end):
    x = whole_numbers(0, 6, 2, 3, 4).astype(np.float64)
    node = nir.Flatten({"input": np.array([2, 3, 4])}, start_dim=start, end_dim=end)
    expected = torch.from_numpy(x).flatten(start + 1, end if end == -1 else end + 1)
    _equal(apply_linear(node, x), expected)
    assert flatten(chain([2, 3, 4], node, output_shape=expected.shape[1:])).shapes["node0"] == expected.shape[1:]


def test_biases_pass_through_nodes_without_memory_and_stop_at_neurons():
    nodes = {
        "first": conv([[[[2]]], [[[3]]]], bias=[5, 7], size=(1, 2)),
        "pool": pool(nir.SumPool2d, (1, 2), (1, 2)),
        "gate": threshold([2, 1, 1]),
        "second": conv([[[[1]], [[-1]]]], bias=[4], size=(1, 1)),
        "flat": flatten_node([1, 1, 1]),
        "last": nir.Affine(np.array([[6]]), np.array([1])),
    }
    network = graph(
        [1, 1, 2],
        nodes,
        ["input -> first -> pool -> gate -> second -> flat -> last -> output", "pool -> second"],
        output_shape=[1],
    )
    found = {name: values.reshape(-1).tolist() for name, values in at_rest(flatten(network)).items()}
    assert found == {
        "first": [0, 0],
        "pool": [5, 5, 7, 7],
        "gate": [10, 14],
        "second": [10, 14],
        "flat": [10 - 14 + 4],
        "last": [0],
        "output": [1],
    }
