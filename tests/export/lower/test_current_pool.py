"""Max-pool of currents: as many gates as announced, and weights that Loihi can hold."""

import nir
import numpy as np
import pytest

from hardware import flatten
from hardware.errors import InputError
from hardware.graph.gates.max_pool import current_pool_graph, gate_count


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 5, 4)])
@pytest.mark.parametrize(("low", "high"), [(-3, 4), (-65535, 65535), (0, 1)])
def test_gates_are_as_many_as_announced(shape, low, high):
    graph = current_pool_graph(shape, (3, 2, 1), low, high)
    gates = [np.prod(node.threshold.shape) for node in graph.nodes.values() if isinstance(node, nir.Threshold)]
    assert sum(gates) == gate_count(shape, (3, 2, 1), low, high)


def test_the_widest_currents_need_no_weight_beyond_the_chips():
    graph = current_pool_graph((1, 4, 4), (3, 2, 1), -65535, 65535)
    flatten(graph)  # refuses weights that are no 8-bit mantissa times a power of two
    scales = [np.abs(node.scale).max() for node in graph.nodes.values() if isinstance(node, nir.Scale)]
    assert max(scales) == 2**13


def test_even_kernels_are_refused(refuses):
    with refuses(InputError, "kernel 2", "odd"):
        current_pool_graph((1, 4, 4), (2, 2, 0), -5, 5)
