"""Any populations of a network, run as a graph of their own on the spikes of the others, emit what they did in it."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import assume, given
from hypothesis import strategies as st
from random_graphs import random_graphs
from random_networks import examples
from small_graphs import branched, whole_numbers

import hardware
from export import to_nir
from hardware.graph.populations import PopulationGraph
from hardware.graph.subgraph import subgraph


@random_examples(150)
@given(random_graphs(), st.data())
def test_parts_of_random_graphs(example, data):
    network, inputs = example
    try:
        trace = hardware.interpret(network, inputs)
    except hardware.RangeError:
        assume(False)
    layers = PopulationGraph(network)
    chosen = data.draw(st.sets(st.sampled_from(layers.populations), min_size=1))
    part = subgraph(layers, chosen)
    found = hardware.interpret(part.graph, part.inputs({**trace, layers.flat.input_name: inputs}))
    assert set(part.populations) == chosen
    for name in chosen:
        np.testing.assert_array_equal(found[name], trace[name])


@random_examples(25)
@given(example=examples(), data=st.data())
def test_parts_go_through_files(example, data, tmp_path_factory):
    network = to_nir(example.fixed)
    trace = hardware.interpret(network, example.inputs)
    layers = PopulationGraph(network)
    name = data.draw(st.sampled_from(layers.populations))
    part = subgraph(layers, [name])
    path = tmp_path_factory.mktemp("part") / "part.nir"
    hardware.write_graph(part.graph, path)
    read = hardware.read_graph(path, type_check=False)
    found = hardware.interpret(read, part.inputs({**trace, "input": example.inputs}))
    np.testing.assert_array_equal(found[name], trace[name])


def test_one_source_is_not_stacked():
    part = subgraph(PopulationGraph(branched()), ["first"])
    assert part.sources == {"input": (1, 2, 2)}
    assert list(part.graph.nodes) == ["input", "conv", "first", "output"]
    inputs = np.arange(4).reshape(1, 1, 1, 2, 2)
    assert part.inputs({"input": inputs}) is inputs


def test_several_sources_are_stacked_by_name():
    part = subgraph(PopulationGraph(branched()), ["last"])
    assert part.sources == {"first": (1, 2, 2), "third": (1, 2, 2), "second": (1, 2, 2)}
    values = {name: np.full((1, 1, 1, 2, 2), number) for number, name in enumerate(part.sources)}
    assert part.inputs(values)[0, 0, :, 0, 0].tolist() == [0, 1, 2]
    kinds = [type(node) for node in part.graph.nodes.values()]
    assert kinds.count(nir.Input) == kinds.count(nir.Output) == 1


@pytest.mark.long
@pytest.mark.parametrize("chosen", [["second", "last"], pytest.param(["last"], marks=pytest.mark.long)])
def test_parts_run_in_lava(chosen, lava):
    network, inputs = branched(), whole_numbers(0, 4, 3, 1, 2, 2, low=-3, high=8)
    layers, trace = PopulationGraph(network), hardware.interpret(network, inputs)
    part = subgraph(layers, chosen)
    found = hardware.lava.simulate(part.graph, part.inputs({**trace, "input": inputs}))
    for name in chosen:
        np.testing.assert_array_equal(found[name], trace[name])
