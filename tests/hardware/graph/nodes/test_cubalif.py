"""CubaLIF against its equation, written out neuron by neuron, and in Lava against the interpreter."""

import math

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import TIME_STEP, chain, conv, cubalif, lif, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import RangeError

DECAYS = st.sampled_from([1, 7, 1024, 1365, 2048, 4095, 4096])


def naive(inputs, current_decay, decay, threshold, bias=0):
    """Spikes [T] of one neuron for integers [T], in exact integers."""
    current, membrane, spikes = 0, 0, []
    for x in inputs:
        current = math.trunc(current * (4096 - current_decay) / 4096) + 64 * int(x)
        membrane = math.trunc(membrane * (4096 - decay) / 4096) + current + 64 * bias
        spikes.append(int(membrane > 64 * threshold))
        membrane = 0 if spikes[-1] else membrane
    return spikes


@random_examples(100)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12), DECAYS, DECAYS, st.integers(0, 90), st.integers(-5, 5))
def test_one_neuron(inputs, current_decay, decay, threshold, bias):
    affine = nir.Affine(np.ones((1, 1)), np.array([float(bias)]))
    network = chain([1], affine, cubalif([1], current_decay, decay, threshold))
    inputs = np.array(inputs).reshape(-1, 1, 1)
    wanted = naive(inputs.reshape(-1), current_decay, decay, threshold, bias)
    assert hardware.interpret(network, inputs)["node1"].reshape(-1).tolist() == wanted
    assert hardware.interpret_stepwise(network, inputs)["node1"].reshape(-1).tolist() == wanted


def test_a_population_whose_neurons_differ():
    decays, levels = np.array([1, 1024, 4096]), np.array([40, 3, 9])
    inputs = whole_numbers(0, 10, 2, 3)
    found = hardware.interpret(chain([3], cubalif([3], decays, decays[::-1], levels)), inputs)["node0"]
    for b, n in np.ndindex(2, 3):
        assert found[:, b, n].tolist() == naive(inputs[:, b, n], decays[n], decays[2 - n], levels[n])
    assert found.any()


def test_a_current_of_one_step_is_a_lif():
    inputs = whole_numbers(1, 8, 2, 3)
    found = hardware.interpret(chain([3], cubalif([3], 4096, 1365, 9)), inputs)["node0"]
    np.testing.assert_array_equal(found, hardware.interpret(chain([3], lif([3], 1365, 9)), inputs)["node0"])


def test_any_gain_folds_into_the_threshold():
    """A gain of 1/4 * 1/8 from input to membrane, and a membrane that rests at 3."""
    one, inputs = np.ones(1), whole_numbers(2, 40, 3, 1)
    node = nir.CubaLIF(
        tau_syn=4 * TIME_STEP * one, tau_mem=2 * TIME_STEP * one, r=one / 2, v_leak=3 * one,
        v_threshold=one * (3 + (15 + 2**-7) / 32), v_reset=3 * one, w_in=one / 2,
    )  # fmt: skip
    wanted, found = (hardware.interpret(chain([1], n), inputs) for n in (cubalif([1], 1024, 2048, 15), node))
    np.testing.assert_array_equal(found["node0"], wanted["node0"])
    assert found["node0"].any()


def maps():
    """Populations with currents that last, in one of which each neuron has its own."""
    shape = (2, 4, 3)
    levels = whole_numbers(3, *shape, low=5, high=60)
    return chain(
        shape,
        conv(whole_numbers(4, 2, 2, 3, 3), padding=1, bias=[3, -4], size=(4, 3)),
        cubalif(shape, 300, 1365, 50),
        conv(whole_numbers(5, 2, 2, 1, 1), bias=[1, 2], size=(4, 3)),
        cubalif(shape, whole_numbers(6, *shape, low=1, high=4097), 1000, levels),
        cubalif(shape, 1, 4096, 2),
        type_check=False,
    )


@anyhow
def test_in_lava(lava, how):
    """Images in a stream, whose currents must not reach the next; T = 3 is no power of two."""
    network, inputs = maps(), whole_numbers(7, 3, 4, 2, 4, 3)
    wanted = hardware.interpret(network, inputs)
    assert all(0 < wanted[name].mean() < 1 for name in ("node1", "node3", "node4"))
    assert hardware.compare(wanted, hardware.lava.simulate(network, inputs, **how)).first_divergence is None


def test_in_onnx():
    network, inputs = maps(), whole_numbers(7, 9, 4, 2, 4, 3)
    found = hardware.targets()["onnx"].run(network, inputs)
    assert hardware.compare(hardware.interpret(network, inputs), found).first_divergence is None


@pytest.mark.parametrize("how", ["interpreter", "onnx", 0, pytest.param(1, marks=pytest.mark.long)])
def test_a_current_beyond_the_limit(lava, refuses, how):
    """Each sum fits; the current adds them up. The threshold would be reached by none."""
    network = chain([1], cubalif([1], 1, 4096, 131071))
    inputs = np.full((4, 1, 1), -50_000)
    with refuses(RangeError, "node0", "current", "limit is 131072"):
        if isinstance(how, str):
            hardware.targets()[how].run(network, inputs)
        else:
            hardware.lava.simulate(network, inputs, sections=how)


def test_in_float():
    """The new current reaches the membrane, as in NIR's own equations by Euler's rule."""
    values = {
        "tau_syn": 3e-4,
        "tau_mem": 7e-4,
        "r": 1.7,
        "v_leak": 0.2,
        "v_threshold": 0.9,
        "v_reset": -0.1,
        "w_in": 2.5,
    }
    inputs = np.random.default_rng(8).random((40, 1, 1)) * 3
    found = hardware.interpret_float(chain([1], nir.CubaLIF(**{k: np.array([v]) for k, v in values.items()})), inputs)
    current, v, spikes = 0.0, values["v_reset"], []
    for x in inputs.reshape(-1):
        current += TIME_STEP / values["tau_syn"] * (values["w_in"] * x - current)
        v += TIME_STEP / values["tau_mem"] * (values["v_leak"] - v + values["r"] * current)
        spikes.append(int(v > values["v_threshold"]))
        v = values["v_reset"] if spikes[-1] else v
    assert found["node0"].reshape(-1).tolist() == spikes
    assert 3 < sum(spikes) < 37
