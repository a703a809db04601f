import numpy as np
from amount import random_examples
from hypothesis import assume, given
from hypothesis import strategies as st
from random_graphs import random_graphs
from small_graphs import chain, conv, threshold

import hardware
from hardware.graph.gates.self_attention import self_attention_graph
from hardware.graph.populations import PopulationGraph
from hardware.parity.arrivals import arrivals, weights_of
from hardware.parity.explanation import Arrival


@random_examples(100)
@given(random_graphs(), st.data())
def test_weights_give_the_current_of_any_neuron(example, data):
    network, inputs = example
    try:
        trace = hardware.interpret(network, inputs)
    except hardware.RangeError:
        assume(False)
    layers = PopulationGraph(network)
    values = {**trace, layers.flat.input_name: inputs}
    for name in trace:
        neuron = tuple(data.draw(st.integers(0, n - 1)) for n in layers.flat.shapes[name])
        layer = layers.driven(name, values)
        weighted = sum(
            (values[source] * weight).reshape(*inputs.shape[:2], -1).sum(2)
            for source, weight in weights_of(layers, name, neuron).items()
        )
        current = layer.current[(slice(None), slice(None), *neuron)]
        np.testing.assert_array_equal(64 * weighted + layer.bias[neuron], current)


def test_arrivals_are_ordered_by_what_they_contribute():
    node = conv([[[[1, -5, 2]], [[7, 0, 3]]]], padding=(0, 1), size=(1, 3))
    layers = PopulationGraph(chain((2, 1, 3), node, threshold((1, 1, 3)), output_shape=(1, 1, 3), type_check=False))
    inputs = np.array([[[0, 4, 1]], [[0, 1, 9]]])[None, None]
    found = arrivals(layers, "node1", (0, 0, 1), {"input": inputs}, 0, 0)
    assert found == [
        Arrival("input", (1, 0, 2), 9, 3.0),
        Arrival("input", (0, 0, 1), 4, -5.0),
        Arrival("input", (0, 0, 2), 1, 2.0),
    ]


def test_nothing_has_a_weight_behind_a_fused_operation():
    nested = self_attention_graph((2, 2, 2), 1, 1)
    layers = PopulationGraph(chain((6, 2, 2), nested, threshold((2, 2, 2)), output_shape=(2, 2, 2)))
    assert weights_of(layers, "node1", (0, 0, 0)) is None
    values = {"input": np.ones((1, 1, 6, 2, 2))}
    assert arrivals(layers, "node1", (0, 0, 0), values, 0, 0) is None
