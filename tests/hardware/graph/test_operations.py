"""The gates of self-attention and of a max-pool of currents give what the fused operations do, and PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import chain, graph

import hardware
from hardware import GraphError, flatten
from hardware.graph.flatten import without_gates
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph
from hardware.graph.operations import Operation
from hardware.graph.operations.max_pool import MaxPoolOperation
from hardware.graph.operations.self_attention import SelfAttentionOperation


def both_ways(shape, nested, inputs, output_shape):
    """Outputs of a graph of one nested graph, gate by gate and fused."""
    whole = graph(shape, {"operation": nested}, ["input -> operation -> output"], output_shape)
    return [hardware.interpret(whole, inputs, fused=fused)["output"] for fused in (False, True)]


@random_examples(25)
@given(
    heads=st.integers(1, 3),
    width=st.integers(1, 4),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    exponent=st.integers(0, 5),
    rate=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_gates_of_self_attention_are_the_matrix_product(heads, width, size, exponent, rate, seed):
    shape = (heads * width, *size)
    spikes = (np.random.default_rng(seed).random((2, 2, 3 * shape[0], *size)) < rate).astype(np.int8)
    gates, fused = both_ways((3 * shape[0], *size), self_attention_graph(shape, heads, 2**exponent), spikes, shape)
    query, key, value = torch.tensor(spikes).double().reshape(2, 2, 3, heads, width, -1).unbind(2)
    product = (query.transpose(-1, -2) @ key @ value.transpose(-1, -2)).transpose(-1, -2)
    assert np.array_equal(gates, product.numpy().reshape(gates.shape) * 2**exponent)
    assert np.array_equal(fused, gates)


@random_examples(25)
@given(
    channels=st.integers(1, 2),
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    window=st.sampled_from([(3, 2, 1), (3, 1, 1), (3, 3, 0), (5, 2, 2)]),
    low=st.sampled_from([-9000, -20, -1, 0]),
    high=st.sampled_from([0, 1, 20]),
    seed=st.integers(0, 2**16),
)
def test_gates_of_a_max_pool_are_pytorchs(channels, size, window, low, high, seed):
    size = tuple(max(side, window[0]) for side in size)
    shape = (channels, *size)
    currents = np.random.default_rng(seed).integers(low, high + 1, (2, 1, *shape))
    wanted = F.max_pool2d(torch.tensor(currents[:, 0]).double(), *window).numpy()[:, None]
    nested = current_pool_graph(shape, window, low, high)
    gates, fused = both_ways(shape, nested, currents, wanted.shape[2:])
    assert np.array_equal(gates, wanted)
    assert np.array_equal(fused, wanted)


def test_the_widest_currents_are_compared_exactly():
    currents = np.array([-65535, 65535, 65534, -65535, -65535, -65534, 0, -65535, -1]).reshape(1, 1, 1, 3, 3)
    wanted = F.max_pool2d(torch.tensor(currents[:, 0]).double(), 3, 2, 1).numpy()[:, None]
    nested = current_pool_graph((1, 3, 3), (3, 2, 1), -65535, 65535)
    for found in both_ways((1, 3, 3), nested, currents, (1, 2, 2)):
        assert np.array_equal(found, wanted)


def test_a_marked_graph_is_one_node_or_internal_gates():
    nested = self_attention_graph((2, 1, 1), 1, 1)
    whole = graph((6, 1, 1), {"operation": nested}, ["input -> operation -> output"], (2, 1, 1))
    fused = flatten(whole, fused=True)
    assert fused.nodes["operation"] == SelfAttentionOperation((6, 1, 1), (2, 1, 1), heads=1, scale=1)
    assert not fused.internal
    gates = flatten(whole)
    assert "operation.together" in gates.internal
    assert not any(isinstance(node, Operation) for node in gates.nodes.values())


def test_reduced_to_its_ports_a_graph_has_the_same_operation():
    nested = current_pool_graph((1, 4, 4), (3, 2, 1), -5, 5)
    whole = graph((1, 4, 4), {"pool": nested}, ["input -> pool -> output"], (1, 2, 2))
    proven = flatten(whole, fused=True)
    reduced = without_gates(whole, proven.operations)
    assert set(reduced.nodes["pool"].nodes) == {"input", "output"}
    assert flatten(reduced, fused=True, trust_marks=True).nodes["pool"] == proven.nodes["pool"]


def test_a_bias_that_differs_within_a_channel_cannot_pass_a_fused_pool():
    pool = MaxPoolOperation((1, 2, 2), (1, 1, 1), 2, 2, 0, -5, 5)
    assert pool.at_rest(np.full((1, 2, 2), 3.0)).item() == 3
    with pytest.raises(ValueError, match="differs within a channel"):
        pool.at_rest(np.arange(4.0).reshape(1, 2, 2))


def test_self_attention_refuses_a_bias():
    attention = SelfAttentionOperation((3, 1, 1), (1, 1, 1), 1, 1)
    assert not attention.at_rest(np.zeros((3, 1, 1))).any()
    with pytest.raises(ValueError, match="bias"):
        attention.at_rest(np.ones((3, 1, 1)))


def test_a_node_named_as_one_inside_a_nested_graph_is_refused(refuses):
    nested = self_attention_graph((2, 1, 1), 1, 1)
    nodes = {"operation": nested, "operation.together": chain((6, 1, 1)).nodes["input"]}
    whole = graph((6, 1, 1), nodes, ["input -> operation -> output"], (2, 1, 1), type_check=False)
    with refuses(GraphError, "operation.together", "twice"):
        flatten(whole)
