"""Flips in networks of other tools' graphs: each is counted, and rounding explains it, or something is wrong."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from random_float_graphs import random_float_graphs

import export
from export.ladder.cell_flips import trace_cell_flips
from qkformer import record_spikes


def spikes_of(network, inputs):
    with record_spikes(network) as trace:
        network(inputs)
    return trace


def flips_of(network, fixed, inputs):
    traces = spikes_of(network, inputs), spikes_of(fixed, inputs)
    return trace_cell_flips(network, fixed, inputs, *traces), *traces


@random_examples(200, 25)
@given(example=random_float_graphs())
def test_rounding_explains_what_quantizing_turns_over(example):
    graph, inputs, time_step = example
    network = export.from_nir(graph, time_step=time_step)
    fixed = export.quantize(network, inputs)
    found, in_float, in_integers = flips_of(network, fixed, inputs)
    assert [flips.name for flips in found] == [name for name in in_float if name != "output"]
    for flips in found:
        assert flips.flips == (in_float[flips.name] != in_integers[flips.name]).sum()
        assert flips.first == flips.explained + flips.unexplained
        assert flips.unexplained == 0, flips


@pytest.fixture
def layers():
    """Two populations, and real inputs that are encoded."""
    rng = np.random.default_rng(0)
    full = {"tau": 5e-4, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "a": nir.Affine(rng.normal(size=(40, 6)) * 0.5, rng.normal(size=40) * 0.1),
        "s": nir.LIF(**{name: np.full(40, value) for name, value in full.items()}),
        "b": nir.Linear(rng.normal(size=(30, 40)) * 0.3),
        "t": nir.LIF(**{name: np.full(30, value) for name, value in full.items()}),
        "output": nir.Output({"output": np.array([30])}),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)))
    return export.from_nir(graph), rng.normal(size=(20, 16, 6))


def test_flips_of_a_layer_and_of_the_next(layers):
    network, inputs = layers
    first, second = flips_of(network, export.quantize(network, inputs), inputs)[0]
    assert first.flips == first.originated > 0  # it reads the input, which does not flip
    assert second.flips > second.originated > 0
    assert first.unexplained == second.unexplained == 0


@pytest.mark.parametrize("fault", ["weight", "bias", "decay", "threshold"])
def test_what_no_rounding_does_is_not_explained(layers, fault):
    network, inputs = layers
    fixed = export.quantize(network, inputs)
    cell, synapse = fixed.get_submodule("t"), fixed.get_submodule("b")
    if fault == "weight":
        synapse.weight[:, 3] = -synapse.weight[:, 3]
    elif fault == "bias":
        synapse.bias += cell.threshold // 4
    elif fault == "decay":
        cell.decay += 400
    else:
        cell.threshold -= cell.threshold // 5
    first, second = flips_of(network, fixed, inputs)[0]
    assert first.unexplained == 0
    assert second.unexplained > 0.2 * second.first
