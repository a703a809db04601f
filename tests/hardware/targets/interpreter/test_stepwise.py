"""Time step by time step a network emits what it does over whole sequences."""

import numpy as np
import pytest
from amount import random_examples
from hypothesis import assume, given
from random_graphs import random_graphs
from random_networks import examples
from small_graphs import chain, lif

import hardware
from export import to_nir
from hardware import RangeError


def same(network, inputs):
    try:
        wanted = hardware.interpret(network, inputs)
    except RangeError:
        assume(False)
    found = hardware.interpret_stepwise(network, inputs)
    assert hardware.compare(wanted, found).first_divergence is None
    assert {name: values.dtype for name, values in found.items()} == {n: v.dtype for n, v in wanted.items()}


@random_examples(60)
@given(random_graphs())
def test_random_graphs(example):
    same(*example)


@random_examples(40)
@given(examples())
def test_random_networks(example):
    same(to_nir(example.fixed), example.inputs)


@pytest.mark.parametrize("run", [hardware.interpret, hardware.interpret_stepwise])
def test_both_refuse_a_membrane_beyond_the_limit(run, refuses):
    with refuses(RangeError, "node0", "time step 1", "131072"):
        run(chain([1], lif([1], decay=1, threshold=131071)), np.full((2, 1, 1), 131000))
