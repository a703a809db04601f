"""Populations whose neurons differ, which Lava's own LIFReset does not have."""

import nir
import numpy as np
import pytest
from small_graphs import TIME_STEP, chain, conv, lif, threshold, whole_numbers

import hardware
from hardware import GraphError

SHAPE = (2, 3, 4)


def varied(shape, decays, levels):
    tau, everywhere = 4096 / (np.asarray(decays) * np.ones(shape)), np.ones(shape)
    return nir.LIF(tau * TIME_STEP, tau, 0 * everywhere, (levels + 2**-7) * everywhere, 0 * everywhere)


@pytest.mark.long
@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"sections": 0}, id="processes"),
        pytest.param({"sections": 2}, id="sections", marks=pytest.mark.long),
    ],
)
def test_decays_and_thresholds_that_differ(lava, how):
    network = chain(
        SHAPE,
        conv(whole_numbers(0, 2, 2, 3, 3), padding=1, bias=[4, -2], size=(3, 4)),
        varied(SHAPE, whole_numbers(1, *SHAPE, low=1, high=4097), whole_numbers(2, *SHAPE, low=0, high=60)),
        conv(whole_numbers(3, 2, 2, 1, 1), bias=[3, 3], size=(3, 4)),
        threshold(SHAPE, whole_numbers(4, *SHAPE, low=0, high=20) + 0.25),
        lif(SHAPE, 4096, whole_numbers(5, *SHAPE, low=0, high=2)),
        type_check=False,
    )
    inputs = whole_numbers(6, 3, 4, *SHAPE)
    wanted = hardware.interpret(network, inputs)
    assert all(0 < wanted[name].mean() < 1 for name in ("node1", "node3"))
    assert hardware.compare(wanted, hardware.lava.simulate(network, inputs, **how)).first_divergence is None


def test_a_fraction_of_a_threshold_is_what_no_process_has(lava, refuses):
    """Half a unit of a membrane with a leak: the interpreter has it, Loihi's register of thresholds does not."""
    network = chain([2], varied([2], [1000, 2000], np.array([1.0, 2.5])))
    with refuses(GraphError, "node0", "threshold 2.5"):
        hardware.lava.simulate(network, np.ones((1, 1, 2), int))
