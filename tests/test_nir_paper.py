"""The NIR paper's graphs, which other tools wrote: one integer network in PyTorch, the interpreter and Lava."""

from pathlib import Path

import numpy as np
import pytest

import export
import hardware
from export.network.fixed_model import reference_trace
from qkformer import record_spikes

FILES = sorted((Path(__file__).parent / "nir_paper").glob("*.nir"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def network(request):
    """The float network of a file, the fixed one, and random spikes [T, B, ...] for both."""
    graph = hardware.read_graph(request.param, type_check=False)  # rockpool's says two shapes of one value
    floats = export.from_nir(graph, unit_gain=True, name=request.param.stem)
    shape = floats.encoding.input_shape
    inputs = (np.random.default_rng(0).random((20, 8, *shape)) < 0.3).astype(float)
    return floats, export.quantize(floats, inputs), inputs


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


def test_there_are_six():
    assert len(FILES) == 6


def test_in_the_interpreter(network):
    _, fixed, inputs = network
    assert fixed.certificate.certified
    assert_equal(hardware.interpret(export.to_nir(fixed), fixed.encode(inputs)), reference_trace(fixed, inputs))


@pytest.mark.long
@pytest.mark.parametrize("sections", [0, 2])
def test_in_lava(network, sections, lava):
    _, fixed, inputs = network
    graph, encoded = export.to_nir(fixed), fixed.encode(inputs)
    assert_equal(hardware.lava.simulate(graph, encoded, sections=sections), hardware.interpret(graph, encoded))


def test_the_integers_are_near_the_floats(network):
    """By how much they spike; the recurrent ones amplify every difference."""
    floats, fixed, inputs = network
    rates = []
    for each in (floats, fixed):
        with record_spikes(each) as trace:
            each(inputs)
        rates.append({name: spikes.mean() for name, spikes in trace.items()})
    for name, rate in rates[0].items():
        assert abs(rates[1][name] - rate) < 0.05, name
