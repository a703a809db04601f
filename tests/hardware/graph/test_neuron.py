import nir
import numpy as np
import pytest
from small_graphs import TIME_STEP, chain, integrate_and_fire, lif, threshold

import hardware
from hardware import LOIHI_2, GraphError, RangeError
from hardware.graph.nodes import spiking

ONE = np.ones(2)


def neuron(name, node, time_step=TIME_STEP):
    return spiking(name, node).integer(name, node, time_step, LOIHI_2)


def numbers(found):
    """(decay, threshold in synaptic units) of a population of equal neurons."""
    assert len(set(found.decay.flat)) == len(set(found.threshold.flat)) == 1
    return int(found.decay.flat[0]), int(found.synaptic_threshold("name").flat[0])


def leaky(tau=2 * TIME_STEP, r=2.0, v_leak=0.0, v_threshold=10.0, v_reset=0.0):
    return nir.LIF(*(value * ONE for value in (tau, r, v_leak, v_threshold, v_reset)))


@pytest.mark.parametrize("decay", [1, 1024, 1365, 3000, 4095, 4096])
def test_decay_survives_single_precision(decay):
    node = lif([2], decay, threshold=131071)
    assert node.tau.dtype == np.float32
    assert numbers(neuron("lif", node)) == (decay, 131071)


def test_threshold_is_in_64ths():
    assert numbers(neuron("gate", threshold([2], 0.5))) == (4096, 0)
    assert set(neuron("gate", threshold([2], 0.5)).threshold) == {32}
    assert set(neuron("if", integrate_and_fire([2], 7)).threshold) == {7 * 64}


def test_another_time_step():
    node = leaky(tau=4e-3, r=4.0)
    assert numbers(neuron("lif", node, time_step=1e-3)) == (1024, 10)
    spikes = hardware.interpret(chain([2], node), np.full((3, 1, 2), 5), time_step=1e-3)["node0"]
    assert spikes[:, 0, 0].tolist() == [0, 0, 1]  # 5, 8.75, 11.5625


def test_a_membrane_that_rests_elsewhere():
    assert numbers(neuron("lif", leaky(v_leak=-3.0, v_threshold=7.0, v_reset=-3.0))) == (2048, 10)
    assert numbers(neuron("if", nir.IF(ONE / TIME_STEP, 3 * ONE, ONE))) == (0, 2)


@pytest.mark.parametrize(
    ("node", "kind", "parts"),
    [
        (leaky(v_reset=1.0), GraphError, ["v_reset is 1", "needs 0"]),
        (leaky(v_leak=-0.5), GraphError, ["v_leak is -0.5", "needs 0"]),
        (leaky(r=0.0), GraphError, ["gain r * time_step / tau is 0", "above 0"]),
        (leaky(r=-1.0), GraphError, ["gain r * time_step / tau is -0.5", "above 0"]),
        (leaky(tau=3 * TIME_STEP, r=3.0), GraphError, ["decay 4096 * time_step / tau is 1365.33", "an integer"]),
        (leaky(tau=TIME_STEP / 2, r=0.5), RangeError, ["decay", "8192", "0 .. 4096"]),
        (leaky(tau=np.nan), GraphError, ["tau is nan", "finite and above 0"]),
        (leaky(tau=4096 / 2048.1 * TIME_STEP, r=4096 / 2048.1), GraphError, ["2048.1", "an integer"]),
        (leaky(v_threshold=-1.0), RangeError, ["threshold -1", "0 .. 131071"]),
        (leaky(v_threshold=131072.0), RangeError, ["threshold 131072", "0 .. 131071"]),
        (leaky(v_threshold=np.inf), GraphError, ["v_threshold is inf", "finite"]),
        (threshold([2], np.nan), GraphError, ["threshold is nan", "finite"]),
        (threshold([2], -0.5), RangeError, ["threshold -1", "0 .. 131071"]),
        (leaky(v_leak=1.0, v_reset=2.0), GraphError, ["v_reset is 2", "needs 0, or v_leak and v_reset alike"]),
        (nir.IF(ONE, ONE, 0 * ONE), GraphError, ["gain r * time_step is 0.0001", "needs 1"]),
    ],
)
def test_neurons_that_are_no_integer_neurons(refuses, node, kind, parts):
    with refuses(kind, "node0", *parts):
        hardware.interpret(chain([2], node), np.zeros((1, 1, 2)))


def test_populations_that_are_not_uniform():
    levels = neuron("gate", nir.Threshold(np.array([0.5, 1.5])))
    assert levels.synaptic_threshold("gate").tolist() == [0, 1]
    leaks = neuron("lif", nir.LIF(np.array([2, 4]) * TIME_STEP, np.array([2.0, 4.0]), 0 * ONE, ONE, 0 * ONE))
    assert leaks.decay.tolist() == [2048, 1024]


def test_threshold_with_a_fraction(refuses):
    """Half a unit is nothing to a gate, whose membrane is whole; a leaky membrane can tell the difference."""
    assert numbers(neuron("gate", threshold([2], 2.5))) == (4096, 2)
    with refuses(GraphError, "lif: threshold 2.5 has a fraction"):
        neuron("lif", leaky(v_threshold=2.5)).synaptic_threshold("lif")
