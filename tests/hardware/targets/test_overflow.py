"""What overflows is an error on every target: the interpreter's, and none wraps or clips in silence."""

import nir
import numpy as np
import pytest
from small_graphs import chain, conv, flatten_node, graph, integrate_and_fire, lif

import hardware
from hardware import RangeError

HOW = {
    "interpreter": hardware.interpret,
    "stepwise": hardware.interpret_stepwise,
    "processes": lambda *a: hardware.lava.simulate(*a, sections=0),
    "sections": lambda *a: hardware.lava.simulate(*a, sections=1),
}
everywhere = pytest.mark.parametrize(
    "how", [pytest.param(name, marks=pytest.mark.long if name == "sections" else ()) for name in HOW]
)


def dense(weight, bias=None):
    weight = np.array(weight, float)
    return nir.Affine(weight, np.zeros(len(weight)) if bias is None else np.array(bias, float))


def sums(exponent):
    """A sum of four inputs times 127 * 2^exponent, straight to a neuron."""
    return chain([4], nir.Linear(np.full((1, 4), 127.0 * 2**exponent)), lif([1], threshold=9), output_shape=[1])


@everywhere
def test_a_sum_beyond_the_limit(how, lava, refuses):
    with refuses(RangeError, "node1", "sum of inputs", "limit is 131072"):
        HOW[how](sums(3), np.full((2, 1, 4), 40))


@everywhere
def test_a_membrane_beyond_the_limit(how, lava, refuses):
    network = chain([1], integrate_and_fire([1], threshold=131071))
    with refuses(RangeError, "node0", "membrane", "limit is 131072"):
        HOW[how](network, np.full((3, 1, 1), -60000))


@everywhere
def test_a_residual_sum_beyond_the_limit(how, lava, refuses):
    """A relay adds up two of the largest messages."""
    nodes = {"gate": lif([1], decay=4096, threshold=0), "twice": nir.Linear(np.array([[1.0]]))}
    network = graph([1], nodes, ["input -> twice -> gate -> output", "input -> twice"], type_check=False)
    with refuses(RangeError, "sum"):
        HOW[how](network, np.full((1, 1, 1), 2**23 - 1))


@everywhere
def test_an_output_beyond_the_limit(how, lava, refuses):
    network = chain([2], nir.Linear(np.full((1, 2), 64.0 * 128)), output_shape=[1])
    with refuses(RangeError, "sum"):
        HOW[how](network, np.full((1, 1, 2), 1000))


@pytest.mark.long
@everywhere
def test_a_bias_that_no_integer_holds(how, lava, refuses):
    network = chain([1], dense([[1]], [2.0**33]), output_shape=[1])
    with refuses(RangeError, "output", "8.58993e+09", "2147483647"):
        HOW[how](network, np.ones((1, 1, 1), int))


@everywhere
@pytest.mark.parametrize("value", [32, *(pytest.param(value, marks=pytest.mark.long) for value in (20, 1))])
def test_what_is_not_certified_but_stays_below_the_limit_is_exact(how, value, lava):
    """The bound for these inputs is beyond the limit for a membrane, and the sums are not."""
    network = sums(3)
    inputs = np.array([[[value, -value, value, 0]], [[0, value, 0, 0]], [[value] * 2 + [-value] * 2]])
    wanted = hardware.interpret(network, inputs)
    assert hardware.compare(wanted, HOW[how](network, inputs)).mismatches == 0


@pytest.mark.long
@everywhere
def test_maps_are_watched_channel_by_channel(how, lava, refuses):
    nodes = {
        "conv": conv(np.full((2, 1, 1, 1), [[[[127]]], [[[1]]]]), size=(1, 3)),
        "a": integrate_and_fire((2, 1, 3), 131071),
    }
    nodes |= {"flat": flatten_node((2, 1, 3)), "head": nir.Linear(np.ones((1, 6)))}
    network = graph((1, 1, 3), nodes, ["input -> conv -> a -> flat -> head -> output"], [1], type_check=False)
    with refuses(RangeError, "a", "membrane"):
        HOW[how](network, np.array([0, 0, -900]).reshape(1, 1, 1, 1, 3).repeat(2, 0))
