"""Networks at the ends of every range: where the interpreter refuses, Lava does; else it refuses or agrees."""

import nir
import numpy as np
import pytest
from small_graphs import chain, conv, graph, integrate_and_fire, lif, threshold

import hardware
from hardware.errors import InputError, UserError
from hardware.targets.lava.simulation import simulate

LIMIT = 131072  # of a membrane
MESSAGE = 1 << 23  # below it every message


def affine(weight, bias):
    return nir.Affine(np.array(weight, float), np.array(bias, float))


def output(weight, bias=0.0):
    """One input times a weight, plus a bias, straight to the output."""
    return chain([1], affine([[weight]], [bias]), output_shape=[1])


def neuron(node, weight=1.0, bias=0.0):
    """One input times a weight, plus a bias, to a neuron."""
    return chain([1], affine([[weight]], [bias]), node, output_shape=[1])


def given(*values):
    """One image of so many time steps."""
    return np.array(values, np.int64).reshape(-1, 1, 1)


def residual(weight):
    """A relay that adds up two messages, one of them weighted."""
    nodes = {"twice": affine([[weight]], [0]), "gate": threshold([1], 0.5)}
    return graph([1], nodes, ["input -> twice -> gate -> output", "input -> gate"], type_check=False)


EXTREMES = {
    "output: largest message": (output(1), given(MESSAGE - 1, 1 - MESSAGE)),
    "output: a message too large": (output(1), given(MESSAGE)),
    "output: an input beyond 32 bits": (output(1), given(1 << 40)),
    "output: the least integer": (output(1), given(-(1 << 63))),
    "output: a sum too large": (output(127), given(MESSAGE // 127 + 1)),
    "output: weights of mixed signs": (chain([2], affine([[64 * 127, -64 * 128]], [0]), output_shape=[1]),
                                       np.full((2, 1, 2), 2000)),
    "output: sums that cancel": (chain([2], affine([[127, -127]], [0]), output_shape=[1]), np.full((2, 1, 2), 80000)),
    "output: largest bias": (output(1, 2.0**31 - 1), given(0)),
    "output: largest bias and one": (output(1, 2.0**31 - 1), given(1)),
    "output: a bias too large": (output(1, 2.0**31), given(0)),
    "output: least bias and less": (output(1, -(2.0**31)), given(-1)),
    "output: a huge bias": (output(1, 1e30), given(0)),
    "neuron: threshold at the limit": (neuron(integrate_and_fire([1], LIMIT - 1)), given(LIMIT - 1, 1)),
    "neuron: threshold beyond": (neuron(integrate_and_fire([1], LIMIT)), given(1)),
    "neuron: threshold below zero": (neuron(integrate_and_fire([1], -1)), given(0, 0)),
    "neuron: membrane falls": (neuron(integrate_and_fire([1], 9)), given(*[-40000] * 4)),
    "neuron: membrane rises": (neuron(integrate_and_fire([1], LIMIT - 1)), given(*[60000] * 3)),
    "neuron: membrane at the limit": (neuron(integrate_and_fire([1], LIMIT - 1)), given(LIMIT - 1, 0)),
    "neuron: sum at the limit": (neuron(lif([1], 2048, 9)), given(LIMIT)),
    "neuron: keeps nothing": (neuron(lif([1], 4096, 9)), given(LIMIT - 1, 1 - LIMIT, 10)),
    "neuron: keeps nearly all": (neuron(lif([1], 1, 100)), given(*[-65535] * 4)),
    "neuron: largest bias": (neuron(integrate_and_fire([1], 9), bias=LIMIT - 1.0), given(0, 0)),
    "neuron: bias and input": (neuron(integrate_and_fire([1], 9), bias=LIMIT - 1.0), given(1, 1)),
    "neuron: weight too large": (neuron(lif([1]), weight=2.0**30), given(1)),
    "gate: two messages": (residual(1), given(MESSAGE - 1)),
    "gate: threshold beyond": (chain([1], threshold([1], 2.0**33)), given(1)),
    "map: one channel overflows": (
        chain((1, 1, 2), conv([[[[1]]], [[[127]]]], size=(1, 2)), integrate_and_fire((2, 1, 2), 9),
              output_shape=(2, 1, 2)),
        np.full((3, 1, 1, 1, 2), -500),
    ),
}  # fmt: skip


def marks(sections, number):
    """Each extreme in Lava's own processes or in a section, in turn; `make test-all` has both."""
    return pytest.mark.long if number % 2 == sections else pytest.mark.exhaustive


def outcome(run, *arguments, **options):
    """The trace, or the one line with which it is refused."""
    try:
        return run(*arguments, **options)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        pytest.param(name, sections, marks=marks(sections, number))
        for number, name in enumerate(EXTREMES)
        for sections in (0, 1)
    ],
)
def test_extremes(name, sections, lava):
    network, inputs = EXTREMES[name]
    expected = outcome(hardware.interpret, network, inputs)
    found = outcome(simulate, network, inputs, sections=sections)
    if isinstance(found, str):
        assert "\n" not in found
    else:
        assert not isinstance(expected, str), expected
        assert hardware.compare(expected, found).mismatches == 0


@pytest.mark.parametrize("sections", [-1, 1001, 10**9, 10**30])
def test_sections_are_limited(sections, refuses, lava):
    with refuses(InputError, f"sections is {sections}"):
        simulate(neuron(lif([1])), given(1), sections=sections)
