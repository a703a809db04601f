"""Each population by itself, on the spikes of a whole run, emits what it emitted there."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import assume, given
from random_graphs import random_graphs
from small_graphs import branched, chain, lif, pool, whole_numbers

import hardware
from hardware.graph.populations import PopulationGraph


def run(network, inputs):
    """The layers of a graph, and what all of its populations and its input emit."""
    try:
        trace = hardware.interpret(network, inputs)
    except hardware.RangeError:
        assume(False)
    layers = PopulationGraph(network)
    return layers, {**trace, layers.flat.input_name: inputs}, trace


@random_examples(100)
@given(random_graphs())
def test_every_layer_of_random_networks(example):
    layers, values, trace = run(*example)
    assert layers.populations == list(trace)
    for name, spikes in trace.items():
        np.testing.assert_array_equal(layers.driven(name, values).run(), spikes)


def test_what_a_layer_reads():
    layers = PopulationGraph(branched())
    assert layers.path("last") == ["sum"]
    assert layers.sources("last") == ["first", "third", "second"]
    assert layers.sources("first") == ["input"]
    assert layers.ancestors("last") == ["first", "third", "second"]
    assert layers.ancestors("first") == []
    assert layers.sources("output") == ["last"]


def test_terms_are_what_each_source_contributes():
    layers, values, _ = run(branched(), whole_numbers(0, 3, 2, 1, 2, 2))
    layer = layers.driven("last", values)
    assert list(layer.terms) == ["first", "third", "second"]
    for source, weight in {"first": 1, "third": 3, "second": 3}.items():
        np.testing.assert_array_equal(layer.terms[source], 64 * weight * values[source].astype(int))
    np.testing.assert_array_equal(layer.bias, np.full((1, 2, 2), -64))


def test_parameters():
    parameters = PopulationGraph(branched()).parameters("first")
    assert set(parameters) == {"conv.weight", "conv.bias", "first.decay", "first.threshold"}
    assert parameters["conv.weight"].item() == 5
    np.testing.assert_array_equal(parameters["first.decay"], np.full((1, 2, 2), 2048))
    np.testing.assert_array_equal(parameters["first.threshold"], np.full((1, 2, 2), 9 * 64))
    assert set(PopulationGraph(branched()).parameters("output")) == set()


def test_membrane():
    """V <- V / 2 + I toward zero in 1/64; compared with 9; cleared by a spike."""
    network = chain((1,), lif((1,), threshold=9))
    layers, values, _ = run(network, np.array([[[9]], [[6]], [[-3]], [[1]]]))
    layer = layers.driven("node0", values)
    assert (layer.membrane(0, (0,)) / 64).tolist() == [9, 10.5, -3, -0.5]
    assert layer.threshold((0,)) == 9 * 64
    assert layer.run().reshape(-1).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_pools(kind):
    network = chain((2, 4, 4), pool(kind, (2, 2), (2, 2)), lif((2, 2, 2), threshold=3), output_shape=(2, 2, 2))
    layers, values, trace = run(network, whole_numbers(1, 4, 2, 2, 4, 4))
    np.testing.assert_array_equal(layers.driven("node1", values).run(), trace["node1"])
