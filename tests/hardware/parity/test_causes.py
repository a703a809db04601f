"""Each kind of fault in one layer is named; a layer without a fault has no cause."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from small_graphs import chain, conv, graph, lif, whole_numbers

import hardware
from hardware.graph.populations import PopulationGraph
from hardware.parity.causes import behaviour_causes, fire, parameter_causes

SHAPE = (4, 6, 6)
WEIGHT = whole_numbers(0, 4, 4, 3, 3, low=-9, high=10)
BIAS = whole_numbers(1, 4, low=1, high=20)


@pytest.fixture
def network():
    return chain(SHAPE, conv(WEIGHT, bias=BIAS, padding=1, size=(6, 6)), lif(SHAPE, threshold=6))


@pytest.fixture
def layer(network):
    """The network's only layer, fed with spikes of 3 samples of 5 time steps."""
    inputs = (np.random.default_rng(2).random((5, 3, *SHAPE)) < 0.3).astype(np.int8)
    return PopulationGraph(network).driven("node1", {"input": inputs})


def kinds(causes):
    return {cause.kind for cause in causes}


def test_no_fault(network, layer):
    assert behaviour_causes(layer, layer.run()) == []
    assert parameter_causes("node1", PopulationGraph(network), PopulationGraph(copy.deepcopy(network))) == []


@pytest.mark.parametrize(
    ("kind", "words", "emit"),
    [
        ("comparison", ">=", lambda n, i, b: fire(replace(n, threshold=n.threshold - 1), i)),
        ("missing reset", "by a spike", lambda n, i, b: fire(n, i, reset="none")),
        ("soft reset", "hard reset", lambda n, i, b: fire(n, i, reset="subtract")),
        ("missing reset", "sample", lambda n, i, b: unstream(fire(n, stream(i)[:, None])[:, 0], i)),
        ("batch leak", "next", lambda n, i, b: fire(n, i.reshape(15, 1, *SHAPE)).reshape(i.shape)),
        ("dropped bias", "no bias", lambda n, i, b: fire(n, i - b)),
        ("delay", "input arrives one time step late", lambda n, i, b: fire(n, unstream(late(stream(i - b)), i) + b)),
        ("permuted channels", "4 channels", lambda n, i, b: np.roll(fire(n, i), 1, axis=2)),
        ("transposed maps", "channels 1 .. 2", lambda n, i, b: transposed(fire(n, i))),
    ],
)
def test_behaviour(kind, words, emit, layer):
    (cause,) = behaviour_causes(layer, emit(layer.neuron, layer.current, layer.bias))
    assert cause.kind == kind
    assert words in cause.text


def stream(values):
    return values.swapaxes(0, 1).reshape(-1, *values.shape[2:])


def unstream(values, like):
    return values.reshape(like.shape[1], like.shape[0], *values.shape[1:]).swapaxes(0, 1)


def late(values):
    return np.concatenate([np.zeros_like(values[:1]), values[:-1]])


def transposed(spikes):
    spikes[:, :, 1:3] = spikes[:, :, 1:3].swapaxes(3, 4).copy()
    return spikes


def test_an_unknown_behaviour(layer):
    found = layer.run()
    found[2, 1, 3, 4, 4] ^= 1
    assert behaviour_causes(layer, found) == []


def test_an_output_has_no_neuron(network):
    sums = graph((2,), {}, ["input -> output"])
    layer = PopulationGraph(sums).driven("output", {"input": whole_numbers(3, 4, 2, 2)})
    assert behaviour_causes(layer, layer.run()) == []
    assert kinds(behaviour_causes(layer, layer.run()[:, :, ::-1])) == {"permuted channels"}


@pytest.mark.parametrize(
    ("node", "field", "change", "kind", "words"),
    [
        ("node0", "weight", lambda w: added(w, (1, 2, 0, 1)), "weight", ["1 of 144", "weight[1, 2, 0, 1]"]),
        ("node0", "weight", lambda w: w[[0, 2, 1, 3]], "permuted channels", ["2 output channels", "first is 1"]),
        ("node0", "weight", lambda w: w.swapaxes(2, 3), "transposed maps", ["node0"]),
        ("node0", "bias", lambda b: 0 * b, "dropped bias", ["every bias is 0", f"up to {BIAS.max()}"]),
        ("node0", "bias", lambda b: added(b, 2), "bias", ["1 of 4", f"bias[2] is {BIAS[2] + 1}, {BIAS[2]} in the"]),
        ("node1", "v_threshold", lambda v: v + 1, "threshold", ["144 of 144", "is 7, 6 in the reference"]),
        ("node1", "v_threshold", lambda v: added(v, (3, 0, 5)), "threshold", ["1 of 144", "threshold[3, 0, 5]"]),
    ],
)
def test_parameters(node, field, change, kind, words, network):
    changed = copy.deepcopy(network)
    setattr(changed.nodes[node], field, change(getattr(changed.nodes[node], field)))
    (cause,) = parameter_causes("node1", PopulationGraph(network), PopulationGraph(changed))
    assert cause.kind == kind
    for word in words:
        assert word in cause.text


def added(values, where):
    values = np.array(values)
    values[where] += 1
    return values


def test_another_decay(network):
    changed = copy.deepcopy(network)
    changed.nodes["node1"] = lif(SHAPE, decay=1024, threshold=6)
    (cause,) = parameter_causes("node1", PopulationGraph(network), PopulationGraph(changed))
    assert cause.kind == "decay"
    assert "is 1024, 2048 in the reference" in cause.text


def test_a_missing_connection():
    nodes = {"a": lif(SHAPE), "b": lif(SHAPE, threshold=2), "c": lif(SHAPE)}
    both = graph(SHAPE, nodes, ["input -> a -> c -> output", "input -> b -> c"])
    one = graph(SHAPE, nodes, ["input -> a -> c -> output", "input -> b"])
    (cause,) = parameter_causes("c", PopulationGraph(both), PopulationGraph(one))
    assert (cause.kind, cause.text) == ("connection", "c reads a; a, b in the reference")


def test_fire_is_the_interpreters_neuron(layer):
    np.testing.assert_array_equal(fire(layer.neuron, layer.current), layer.run())
    assert hardware.compare({"a": layer.run()}, {"a": fire(layer.neuron, layer.current)}).mismatches == 0
