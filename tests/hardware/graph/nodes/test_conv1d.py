"""Conv1d against PyTorch, and in Lava against the interpreter."""

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from run_sections import run_sections
from small_graphs import chain, cubalif, flatten_node, graph, lif, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import GraphError
from hardware.graph.nodes import memoryless

LENGTH = 9
windows = {
    "kernel": st.integers(1, 3), "stride": st.integers(1, 3), "padding": st.integers(0, 2),
    "dilation": st.integers(1, 2), "groups": st.integers(1, 3),
}  # fmt: skip


def conv1d(seed, outputs, inputs, kernel, *, stride=1, padding=0, dilation=1, groups=1, bias=True):
    weight, constant = whole_numbers(seed, outputs, inputs // groups, kernel), whole_numbers(seed + 1, outputs) * bias
    return nir.Conv1d(LENGTH, weight.astype(float), stride, padding, dilation, groups, constant.astype(float))


@random_examples(100)
@given(seed=st.integers(0, 1000), **windows)
def test_convolution(seed, kernel, stride, padding, dilation, groups):
    node = conv1d(seed, 2 * groups, groups, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    x = whole_numbers(seed + 2, 2, groups, LENGTH).astype(float)
    weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
    wanted = F.conv1d(torch.from_numpy(x), weight, bias, stride, padding, dilation, groups).numpy()
    kind = memoryless("node", node)
    np.testing.assert_array_equal(kind.apply(node, x) + kind.bias(node), wanted)
    assert kind.output_shape("node", node, "x", x.shape[1:]) == wanted.shape[1:]
    out, gradient = np.zeros(wanted.shape[1:]), whole_numbers(seed + 3, *wanted.shape[1:]).astype(float)
    back = kind.transpose(node, gradient, x.shape[1:])
    assert np.vdot(back, x[0]) == np.vdot(gradient, kind.apply(node, x[:1])[0])
    low, high = kind.bounds(node, -20, 20)
    assert low <= out.min() <= out.max() <= high


@pytest.mark.parametrize(("padding", "length"), [("same", LENGTH), ("valid", LENGTH - 2), (np.array([1]), LENGTH)])
def test_paddings(padding, length):
    node = conv1d(0, 2, 1, 3)
    node.padding = padding
    assert memoryless("node", node).output_shape("node", node, "x", (1, LENGTH)) == (2, length)


def sequences():
    """Sequences through convolutions, one of them in groups, recurrent once, to a dense layer."""
    nodes = {
        "first": conv1d(1, 4, 2, 3, padding=1), "a": cubalif((4, LENGTH), 1000, 2048, 60),
        "back": conv1d(3, 4, 4, 1, groups=2), "second": conv1d(5, 6, 4, 3, stride=2, groups=2),
        "b": lif((6, 4), 1365, whole_numbers(6, 6, 4, low=0, high=40)), "flat": flatten_node((6, 4)),
        "head": nir.Linear(whole_numbers(7, 3, 24).astype(float)),
    }  # fmt: skip
    edges = ["input -> first -> a -> second -> b -> flat -> head -> output", "a -> back -> a"]
    return graph((2, LENGTH), nodes, edges, (3,), type_check=False)


@anyhow
def test_in_lava(lava, how):
    inputs = whole_numbers(0, 3, 3, 2, LENGTH, low=-9, high=10)
    wanted = hardware.interpret(sequences(), inputs)
    assert all(0 < wanted[name].mean() < 1 for name in "ab")
    assert hardware.compare(wanted, hardware.lava.simulate(sequences(), inputs, **how)).first_divergence is None


def test_in_onnx():
    inputs = whole_numbers(0, 4, 3, 2, LENGTH, low=-9, high=10)
    found = hardware.targets()["onnx"].run(sequences(), inputs)
    assert hardware.compare(hardware.interpret(sequences(), inputs), found).first_divergence is None


def test_in_sections(tmp_path):
    inputs = whole_numbers(0, 4, 3, 2, LENGTH, low=-9, high=10)
    assert (
        hardware.compare(
            hardware.interpret(sequences(), inputs), run_sections(sequences(), inputs, 2, tmp_path)
        ).mismatches
        == 0
    )


@pytest.mark.parametrize(
    ("node", "shape", "parts"),
    [
        (conv1d(0, 2, 1, 3), [2, LENGTH], ["'node0'", "(1, 9)", "(2, 9)"]),
        (conv1d(0, 2, 1, 3), [1, 2], ["'node0'", "kernel (3,)", "(1, 2)"]),
        (conv1d(0, 2, 1, 3), [LENGTH], ["'node0'", "[channels, length]"]),
        (conv1d(0, 3, 2, 3, groups=2), [2, LENGTH], ["'node0'", "3 outputs", "2 groups"]),
    ],
)
def test_what_does_not_fit(refuses, node, shape, parts):
    with refuses(GraphError, *parts):
        hardware.flatten(chain(shape, node, type_check=False))
