"""Interval bounds: reached by the worst input, and never left."""

import nir
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import conv, pool, whole_numbers

from hardware import LOIHI_2
from hardware.graph.bounds import synapse_bounds as bounds_in_graph
from hardware.graph.flat import FlatGraph
from hardware.graph.nodes import memoryless
from hardware.graph.operations.self_attention import SelfAttentionOperation


def synapse_bounds(node, values):
    graph = FlatGraph({"node": node}, {}, {}, LOIHI_2)
    return bounds_in_graph(graph, None if node is None else "node", values)


def apply_linear(node, x):
    return memoryless("node", node).apply(node, x)


@given(seed=st.integers(0, 2**16), low=st.integers(-5, 0), high=st.integers(0, 5))
def test_sums_of_a_convolution_stay_within_and_reach_their_bounds(seed, low, high):
    node = conv(whole_numbers(seed, 3, 2, 2, 2), size=(2, 2))
    least, largest = synapse_bounds(node, (low, high))
    worst = np.stack(
        [np.where(w > 0, high, low) for w in node.weight] + [np.where(w > 0, low, high) for w in node.weight]
    )
    sums = apply_linear(node, worst.astype(float))
    assert (sums.min(), sums.max()) == (least, largest)
    random = np.random.default_rng(seed).integers(low, high + 1, (20, 2, 2, 2)).astype(float)
    sums = apply_linear(node, random)
    assert least <= sums.min() <= sums.max() <= largest


def test_other_synapses():
    assert synapse_bounds(None, (-2, 3)) == (-2, 3)
    assert synapse_bounds(pool(nir.SumPool2d, (2, 3), (1, 1)), (-1, 2)) == (-6, 12)
    assert synapse_bounds(nir.Scale(np.array([-4.0, 2.0])), (0, 3)) == (-12, 6)
    assert synapse_bounds(SelfAttentionOperation((12, 2, 3), (4, 2, 3), heads=2, scale=8), (0, 1)) == (0, 8 * 6 * 2)
