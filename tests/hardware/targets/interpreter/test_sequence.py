"""The interpreter against the naive one, and what it refuses."""

import naive
import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from random_graphs import random_graphs
from small_graphs import chain, conv, graph, integrate_and_fire, lif, pool, threshold

import hardware
from hardware import GraphError, RangeError

SUPPORTED = {nir.Input, nir.Output, nir.NIRGraph, nir.Flatten, nir.LIF, nir.IF, nir.Threshold}
SUPPORTED |= {nir.Conv2d, nir.Linear, nir.Affine, nir.SumPool2d, nir.AvgPool2d, nir.Scale}


def test_equals_the_naive_interpreter():
    node_types, activity = set(), []  # what the random graphs held and did

    @random_examples(400)
    @given(random_graphs())
    def equal(example):
        graph, inputs = example
        expected = naive.interpret(graph, inputs)
        assert hardware.compare(expected, hardware.interpret(graph, inputs)).first_divergence is None
        node_types.update(map(type, _all_nodes(graph)))
        activity.extend(spikes.mean() for name, spikes in expected.items() if name != "out")

    equal()
    assert node_types == SUPPORTED
    assert 0.1 < np.mean(activity) < 0.6


def _all_nodes(graph):
    for node in graph.nodes.values():
        yield node
        if isinstance(node, nir.NIRGraph):
            yield from _all_nodes(node)


def test_update_by_hand():
    """Half leaks away at each step, toward zero; 10 is not more than 10; a spike resets to 0."""
    inputs = np.array([10, 6, 1, 11, -11, 16, 5]).reshape(-1, 1, 1)
    trace = hardware.interpret(chain([1], lif([1], decay=2048, threshold=10)), inputs)
    # membrane: 10, 11 -> 0, 1, 11.5 -> 0, -11, 10.5 -> 0, 5
    assert trace["node0"].reshape(-1).tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert trace["output"].dtype == np.int32
    assert trace["node0"].dtype == np.int8


def test_membrane_is_rounded_toward_zero_to_64ths():
    """-1/64 decays to 0, not to -1/64: a floor would hold the neuron back for ever."""
    inputs = np.array([-1] + 7 * [0] + [1]).reshape(-1, 1, 1)
    trace = hardware.interpret(chain([1], lif([1], decay=2048, threshold=0)), inputs)
    assert trace["node0"].reshape(-1).tolist() == 8 * [0] + [1]


def test_neurons_keep_their_charge_without_leak_and_lose_it_with_the_full_one():
    inputs = np.ones((4, 1, 2), np.int8)
    neurons = {"keeps": integrate_and_fire([2], threshold=3), "loses": lif([2], decay=4096, threshold=1)}
    trace = hardware.interpret(graph([2], neurons, ["input -> keeps -> output", "input -> loses -> output"]), inputs)
    assert trace["keeps"][:, 0, 0].tolist() == [0, 0, 0, 1]
    assert not trace["loses"].any()


def test_progress_counts_nodes():
    calls = []
    hardware.interpret(
        chain([1], lif([1])), np.zeros((1, 1, 1)), progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("inputs", "kind", "parts"),
    [
        (np.zeros((2, 1, 1, 4, 5)), GraphError, ["(2, 1, 1, 4, 5)", "'input'", "[T, B, 1, 4, 4]"]),
        (np.zeros((1, 4, 4)), GraphError, ["(1, 4, 4)", "[T, B, 1, 4, 4]"]),
        (np.zeros((0, 1, 1, 4, 4)), GraphError, ["(0, 1, 1, 4, 4)", "at least one time step"]),
        (np.zeros((1, 0, 1, 4, 4)), GraphError, ["(1, 0, 1, 4, 4)", "one sample"]),
        (np.full((1, 1, 1, 4, 4), "a"), GraphError, ["<U1", "'input'", "integers"]),
        (np.full((1, 1, 1, 4, 4), 0.5), RangeError, ["input", "0.5", "not an integer"]),
        (np.full((1, 1, 1, 4, 4), np.nan), RangeError, ["input", "nan", "not an integer"]),
        (np.full((1, 1, 1, 4, 4), 2**23), RangeError, ["input", "8.38861e+06", "8388607"]),
    ],
)
def test_inputs_that_do_not_fit(refuses, inputs, kind, parts):
    with refuses(kind, *parts):
        hardware.interpret(chain([1, 4, 4], threshold([1, 4, 4])), inputs)


def test_sum_that_reaches_the_limit(refuses):
    network = chain([1, 1, 1], conv([[[[64]]]], size=(1, 1)), threshold([1, 1, 1]))
    hardware.interpret(network, np.full((1, 1, 1, 1, 1), 2047))
    with refuses(RangeError, "node1", "131072", "the limit is 131072"):
        hardware.interpret(network, np.full((1, 1, 1, 1, 1), 2048))


def test_membrane_that_reaches_the_limit(refuses):
    network = chain([1], integrate_and_fire([1], threshold=131071))
    hardware.interpret(network, np.full((1, 1, 1), -131071))
    with refuses(RangeError, "node0", "membrane at time step 1", "131073", "131072"):
        hardware.interpret(network, np.array([-131071, -2]).reshape(2, 1, 1))


def test_message_that_reaches_the_limit(refuses):
    network = chain([1, 1, 1], conv([[[[64]]]], size=(1, 1)))
    with refuses(RangeError, "node0", "8.38861e+06", "8388607"):
        hardware.interpret(network, np.full((1, 1, 1, 1, 1), 131072))


def test_average_that_the_membrane_cannot_hold(refuses):
    average = chain([1, 3, 3], pool(nir.AvgPool2d, (3, 3), (1, 1)), threshold([1, 1, 1]), output_shape=[1, 1, 1])
    inputs = np.zeros((1, 1, 1, 3, 3))
    inputs[..., 0, 0] = 9
    assert hardware.interpret(average, inputs)["node1"].item() == 1
    inputs[..., 0, 0] = 1
    with refuses(RangeError, "node1", "0.111111", "1/64"):
        hardware.interpret(average, inputs)


def test_output_that_is_no_whole_number(refuses):
    average = chain([1, 2, 1], pool(nir.AvgPool2d, (2, 1), (1, 1)), output_shape=[1, 1, 1])
    with refuses(RangeError, "output", "0.5", "not an integer"):
        hardware.interpret(average, np.array([1, 0]).reshape(1, 1, 1, 2, 1))
