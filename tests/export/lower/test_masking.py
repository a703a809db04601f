"""Truth tables of the gate primitives, by the interpreter."""

from itertools import product

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hardware
from hardware.graph.gates import primitives as masking
from hardware.graph.gates.primitives import GraphBuilder


def run(inputs, shape, output_shape, add):
    """What the gates that `add(graph)` appends give for spikes [N, *shape], as N samples of one time step."""
    graph = GraphBuilder()
    graph.add("input", nir.Input(np.array(shape)))
    graph.add("output", nir.Output(np.array(output_shape)), add(graph))
    inputs = np.asarray(inputs).reshape(1, -1, *shape)
    return hardware.interpret(nir.NIRGraph(graph.nodes, graph.edges), inputs)["output"][0]


def table(count, minimum):
    """The gate's answer to every combination of `count` spikes, each a channel that a 1x1 convolution picks."""

    def add(graph):
        spikes = [
            graph.add(f"spike{i}", masking.one_by_one(np.eye(count)[i : i + 1], (1, 1)), "input") for i in range(count)
        ]
        return masking.threshold_gate(graph, "gate", (1, 1, 1), minimum, *spikes)

    rows = list(product([0, 1], repeat=count))
    return dict(zip(rows, run(rows, (count, 1, 1), (1, 1, 1), add).reshape(-1).tolist(), strict=True))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_or(count):
    assert table(count, 1) == {row: int(any(row)) for row in product([0, 1], repeat=count)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_and(count):
    assert table(count, count) == {row: int(all(row)) for row in product([0, 1], repeat=count)}


def test_at_least_two_of_three():
    assert table(3, 2) == {row: int(sum(row) >= 2) for row in product([0, 1], repeat=3)}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_sum(groups):
    spikes = np.random.default_rng(0).integers(0, 2, (9, 4, 2, 3))
    found = run(spikes, (4, 2, 3), (groups, 2, 3), lambda g: masking.group_sum(g, "sum", (4, 2, 3), groups, "input"))
    np.testing.assert_array_equal(found, spikes.reshape(9, groups, 4 // groups, 2, 3).sum(2))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_broadcast(groups):
    spikes = np.random.default_rng(0).integers(0, 2, (9, groups, 2, 3))
    found = run(
        spikes,
        (groups, 2, 3),
        (4, 2, 3),
        lambda graph: masking.group_broadcast(graph, "spread", (4, 2, 3), groups, "input"),
    )
    np.testing.assert_array_equal(found, np.repeat(spikes, 4 // groups, axis=1))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 3), (4, 4)])
def test_token_sum_is_the_same_at_every_token(size):
    spikes = np.random.default_rng(0).integers(0, 2, (9, 2, *size))
    shape = (2, *size)
    found = run(spikes, shape, shape, lambda graph: masking.token_sum(graph, "sum", shape, "input"))
    np.testing.assert_array_equal(found, np.broadcast_to(spikes.sum((2, 3), keepdims=True), spikes.shape))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_mask(groups):
    """Every attention spike with every key: a key passes iff its group's spike is there."""
    attention = np.array(list(product([0, 1], repeat=groups)))
    keys = np.array(list(product([0, 1], repeat=4)))
    both = np.concatenate([np.repeat(attention, len(keys), axis=0), np.tile(keys, (len(attention), 1))], axis=1)
    first, last = np.eye(groups + 4)[:groups], np.eye(groups + 4)[groups:]

    def add(graph):
        graph.add("attention", masking.one_by_one(first, (1, 1)), "input")
        graph.add("keys", masking.one_by_one(last, (1, 1)), "input")
        return masking.mask(graph, "mask", (4, 1, 1), groups, "attention", "keys")

    found = run(both, (groups + 4, 1, 1), (4, 1, 1), add)[:, :, 0, 0]
    np.testing.assert_array_equal(found, np.repeat(both[:, :groups], 4 // groups, axis=1) * both[:, groups:])


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 3), (2, 2), (1, 1)), ((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 0))]
)
def test_spike_pool_is_a_max_pool(kernel, stride, padding):
    spikes = np.random.default_rng(0).random((20, 3, 5, 6)) < 0.2
    expected = F.max_pool2d(torch.from_numpy(spikes).double(), kernel, stride, padding).numpy()
    shape = expected.shape[1:]
    found = run(
        spikes,
        (3, 5, 6),
        shape,
        lambda graph: masking.spike_pool(graph, "pool", shape, kernel, stride, padding, "input"),
    )
    np.testing.assert_array_equal(found, expected)
    assert 0.1 < expected.mean() < 0.9


def test_gates_of_one_graph_are_standard_nodes():
    graph = GraphBuilder()
    masking.mask(graph, "mask", (4, 2, 2), 2, "attention", "keys")
    masking.spike_pool(graph, "pool", (4, 1, 1), (2, 2), (2, 2), (0, 0), "mask")
    assert {name: type(node) for name, node in graph.nodes.items()} == {
        "mask.broadcast": nir.Conv2d,
        "mask": nir.Threshold,
        "pool.sum": nir.SumPool2d,
        "pool": nir.Threshold,
    }
    assert graph.edges == [
        ("attention", "mask.broadcast"),
        ("mask.broadcast", "mask"),
        ("keys", "mask"),
        ("mask", "pool.sum"),
        ("pool.sum", "pool"),
    ]
