"""Random networks emit the same spikes in PyTorch, in the interpreter and in Lava, exactly."""

import numpy as np
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from random_networks import examples, side_by_side

import hardware
from export import to_nir, write_graph

LAVA_GRAPHS, NETWORKS_PER_GRAPH = 15, 3
HOW_LAVA_RUNS = ({"sections": 0}, {"stock_models": True}, {"sections": 2})


def test_interpreter_equals_pytorch():
    activity = []  # the mean of every spiking population

    @random_examples(500)
    @given(examples())
    def equal(example):
        reference = example.reference()
        activity.extend(spikes.mean() for name, spikes in reference.items() if name != "output")
        trace = hardware.interpret(to_nir(example.fixed), example.inputs)
        assert hardware.compare(reference, trace).first_divergence is None

    equal()
    # What this is worth: most of the populations neither slept nor fired all the time.
    assert len(activity) > 3 * 50
    assert np.mean([0 < rate < 1 for rate in activity]) > 0.6
    assert 0.2 < np.mean(activity) < 0.6


@random_examples(40)
@given(examples())
def test_graph_from_a_file_equals_pytorch(tmp_path_factory, example):
    path = tmp_path_factory.mktemp("graph") / "model.nir"
    write_graph(to_nir(example.fixed), path)
    trace = hardware.interpret(hardware.read_graph(path), example.inputs)
    assert hardware.compare(example.reference(), trace).first_divergence is None


@random_examples(LAVA_GRAPHS, short=2)
@given(networks=side_by_side(NETWORKS_PER_GRAPH), how=st.sampled_from(HOW_LAVA_RUNS))
def test_lava_equals_pytorch(lava, networks, how):
    trace = hardware.lava.simulate(networks.graph, networks.inputs, **how)
    assert hardware.compare(networks.reference, trace).first_divergence is None
    trace = hardware.interpret(networks.graph, networks.inputs)
    assert hardware.compare(networks.reference, trace).first_divergence is None
