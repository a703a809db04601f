import numpy as np

import export
from export.ladder.reference_graph import reference_graph
from hardware import GraphError
from hardware.graph.fingerprint import array_fingerprint, graph_fingerprint


def test_a_right_lowering_is_its_own_reference(fixed_digits):
    graph = export.to_nir(fixed_digits)
    assert graph_fingerprint(reference_graph(fixed_digits, graph)) == graph_fingerprint(graph)


def test_numbers_come_from_the_model_and_not_from_the_lowering(fixed_digits):
    graph, right = export.to_nir(fixed_digits), export.to_nir(fixed_digits)
    graph.nodes["stage1.0.tssa.k_conv"].weight = -graph.nodes["stage1.0.tssa.k_conv"].weight
    graph.nodes["head"].bias = 0 * graph.nodes["head"].bias
    lif = graph.nodes["stage1.0.tssa.k_lif"]
    lif.v_threshold, lif.tau, lif.r = lif.v_threshold + 1, 2 * lif.tau, 2 * lif.r
    wrong = graph_fingerprint(graph)
    assert wrong != graph_fingerprint(right)
    assert graph_fingerprint(reference_graph(fixed_digits, graph)) == graph_fingerprint(right)
    assert graph_fingerprint(graph) == wrong  # it is left as it was


def test_a_node_that_is_missing(fixed_digits, refuses):
    graph = export.to_nir(fixed_digits)
    del graph.nodes["stage1.0.tssa.k_conv"]
    with refuses(GraphError, "no node 'stage1.0.tssa.k_conv'"):
        reference_graph(fixed_digits, graph)


def test_fingerprints_of_arrays():
    values = np.arange(6).reshape(2, 3)
    assert (
        array_fingerprint(values) == array_fingerprint(values.astype(np.int8)) == array_fingerprint(values.T.copy().T)
    )
    assert len({array_fingerprint(v) for v in (values, values + 1, values.reshape(3, 2))}) == 3
