"""The profile: the same spikes from nodes that every tool reads."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from random_graphs import random_graphs
from small_graphs import chain, conv, flatten_node, lif, pool, threshold

import hardware
from hardware.graph.flatten import flatten
from hardware.graph.nodes.conv2d import summed_window
from hardware.graph.profile import MOST_WEIGHTS, portable

READ_BY_ALL = (nir.Input, nir.Output, nir.Conv2d, nir.Affine, nir.Linear, nir.LIF, nir.IF)


@pytest.mark.parametrize("inline", [False, True])
@random_examples(200)
@given(example=random_graphs())
def test_random_graphs_keep_every_spike(inline, example):
    graph, inputs = example
    before = hardware.interpret(graph, inputs)
    after = hardware.interpret(portable(graph, inline=inline), inputs)
    assert list(after) == list(before)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


@random_examples(100)
@given(example=random_graphs())
def test_a_graph_in_the_profile_stays_as_it_is(example):
    once = portable(example[0], inline=True)
    twice = portable(once, inline=True)
    assert [type(node) for node in twice.nodes.values()] == [type(node) for node in once.nodes.values()]
    assert sorted(twice.edges) == sorted(once.edges)


def rewritten(*nodes, shape, output_shape=None):
    """The rewritten node0, and the graph."""
    graph = chain(shape, *nodes, output_shape=output_shape, type_check=False)
    found = portable(graph)
    inputs = np.random.default_rng(0).integers(0, 3, (3, 2, *shape))
    for name, values in hardware.interpret(graph, inputs).items():
        np.testing.assert_array_equal(hardware.interpret(found, inputs)[name], values)
    return found.nodes["node0"], found


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 31.5, 8000.5])
def test_a_gate_is_a_leaky_neuron_that_forgets(value):
    node, _ = rewritten(threshold((2,), value), shape=(2,))
    assert isinstance(node, nir.LIF)
    assert (node.r == 1).all()
    assert (node.tau / 1e-4 > 1).all()
    membrane, left = value * (1 - 2.0**-24), 1 - 1e-4 / node.tau.astype(np.float64)
    assert (membrane * left < 2.0**-7).all()  # what a tool in floating point carries over is too little for a spike


@pytest.mark.parametrize("decay", [1, 1365, 2048, 3000])
def test_a_leaky_neuron_has_no_resistance(decay):
    node, _ = rewritten(lif((2,), decay, threshold=100_000), shape=(2,))
    assert (node.r == 1).all()
    from hardware.graph.nodes import spiking

    neuron = spiking("n", node).integer("n", node, 1e-4, hardware.LOIHI_2)
    assert (neuron.decay.item(), neuron.synaptic_threshold("n").item()) == (decay, 100_000)


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), (1, 1)), ((3, 1), (1, 0)), ((2, 2), (1, 0))])
def test_a_padded_sum_is_a_convolution_of_ones_and_read_back_as_a_sum(kernel, padding):
    node, graph = rewritten(pool(nir.SumPool2d, kernel, (2, 1), padding), shape=(2, 4, 5))
    assert isinstance(node, nir.Conv2d)
    assert node.weight.shape[2] == node.weight.shape[3]  # NIR infers shapes from the height alone
    window = summed_window(node)
    assert (window.kernel, window.stride, window.padding) == (kernel, (2, 1), padding)
    assert nir.NIRGraph(graph.nodes, graph.edges).check_types() is not False


def test_a_kernel_that_cannot_be_square_stays():
    node, _ = rewritten(pool(nir.SumPool2d, (3, 2), (1, 1), (1, 1)), shape=(1, 4, 4))
    assert isinstance(node, nir.SumPool2d)


def test_a_convolution_that_would_be_too_large_stays():
    channels = int(MOST_WEIGHTS**0.5) // 3 + 1
    node, _ = rewritten(pool(nir.SumPool2d, (3, 3), (1, 1), (1, 1)), shape=(channels, 3, 3))
    assert isinstance(node, nir.SumPool2d)


def test_a_sum_over_the_map_is_taken_once_and_given_to_all():
    node, graph = rewritten(pool(nir.SumPool2d, (7, 7), (1, 1), (3, 3)), shape=(2, 4, 4))
    assert isinstance(graph.nodes["node0.total"], nir.SumPool2d)
    assert node.weight.shape == (2, 2, 4, 4)
    assert summed_window(node).kernel == (4, 4)


def test_other_weights_are_no_sum():
    one = np.ones((1, 1, 3, 3))
    for weight in (np.ones((2, 2, 3, 3)), np.eye(2)[:, :, None, None], 2 * one, 0 * one):
        assert summed_window(conv(weight)) is None
    off = np.zeros((1, 1, 3, 3))
    off[0, 0, :2, :2] = 1  # zeros on one end only
    assert summed_window(conv(off)) is None


def test_a_head_behind_a_flatten_is_a_convolution():
    rng = np.random.default_rng(0)
    head = nir.Affine(rng.integers(-5, 5, (3, 8)).astype(np.float32), np.array([1.0, 2, 3], np.float32))
    graph = chain((2, 2, 2), threshold((2, 2, 2)), flatten_node((2, 2, 2)), head, output_shape=(3,))
    found = portable(graph)
    assert {type(node) for node in found.nodes.values()} <= set(READ_BY_ALL)
    inputs = rng.integers(0, 2, (2, 2, 2, 2, 2))
    before, after = (hardware.interpret(g, inputs)["output"] for g in (graph, found))
    assert before.shape == (2, 2, 3)
    np.testing.assert_array_equal(after, before)


def test_an_output_of_maps_of_one_position_is_a_row_only_for_a_layer():
    layer, neuron = conv(np.ones((2, 1, 3, 3))), threshold((2, 1, 1))
    ends_in_a_layer = chain((1, 3, 3), layer, output_shape=(2, 1, 1), type_check=False)
    ends_in_spikes = chain((1, 3, 3), layer, neuron, output_shape=(2, 1, 1), type_check=False)
    assert flatten(ends_in_a_layer).shapes["output"] == (2,)
    assert flatten(ends_in_spikes).shapes["output"] == (2, 1, 1)


def test_a_head_shows_rows_wherever_it_is_nested():
    """A convolution that sees the whole map is a dense layer, also in a graph within a graph."""
    head = chain((2, 3, 3), conv(np.ones((4, 2, 3, 3))), output_shape=(4, 1, 1), type_check=False)
    outer = chain((2, 3, 3), head, output_shape=(4, 1, 1), type_check=False)
    inputs = np.ones((2, 1, 2, 3, 3), int)
    for graph in (head, outer):
        assert hardware.interpret(graph, inputs)["output"].tolist() == [[[18] * 4]] * 2
