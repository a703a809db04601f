"""I, LI and CubaLI: membranes that an Output shows, written out, and refused where there are none."""

import math

import nir
import numpy as np
import pytest
from small_graphs import TIME_STEP, chain, graph, threshold, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import GraphError, RangeError
from hardware.graph.populations import PopulationGraph

ONE = np.ones(2)
long = pytest.mark.long


def nodes():
    """Each with its decays (of the current, of the membrane) in 1/4096, and its gain."""
    leaky, cuba = 4 * TIME_STEP * ONE, {"tau_syn": 2 * TIME_STEP * ONE, "tau_mem": 4 * TIME_STEP * ONE}
    return {
        "I": (nir.I(3 * ONE), 4096, 0, 3 * TIME_STEP),
        "LI": (nir.LI(leaky, 2 * ONE, 0 * ONE), 4096, 1024, 2 / 4),
        "CubaLI": (nir.CubaLI(**cuba, r=3 * ONE, v_leak=0 * ONE, w_in=5 * ONE), 2048, 1024, 3 / 4 * 5 / 2),
    }


@pytest.mark.parametrize("kind", ["I", "LI", "CubaLI"])
def test_membranes(kind):
    node, du, dv, gain = nodes()[kind]
    weight = whole_numbers(0, 2, 3).astype(float)
    network = chain([3], nir.Linear(weight), node, output_shape=[2])
    inputs = whole_numbers(1, 7, 2, 3)
    found, in_float = hardware.interpret(network, inputs)["output"], hardware.interpret_float(network, inputs)["output"]
    for b, n in np.ndindex(2, 2):
        u = v = 0
        exact_u = exact_v = 0.0
        for t in range(7):
            x = int(weight[n] @ inputs[t, b])
            u = math.trunc(u * (4096 - du) / 4096) + 64 * x
            v = math.trunc(v * (4096 - dv) / 4096) + u
            exact_u = exact_u * (1 - du / 4096) + x
            exact_v = exact_v * (1 - dv / 4096) + exact_u
            assert found[t, b, n] == v
            assert in_float[t, b, n] == pytest.approx(exact_v * gain)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(hardware.interpret_stepwise(network, inputs)["output"], found)


def test_behind_a_recurrence():
    """The float network steps, too."""
    nodes_ = {"a": threshold([2], 1.5), "back": nir.Linear(np.array([[0.0, 2], [2, 0]])), "li": nodes()["LI"][0]}
    network = graph([2], nodes_, ["input -> a -> back -> a -> li -> output"], type_check=False)
    inputs = np.array([[[2, 0]], [[0, 0]], [[0, 0]]])
    assert hardware.interpret(network, inputs)["output"].tolist() == [[[64, 0]], [[48, 64]], [[100, 48]]]
    found = hardware.interpret_float(network, inputs)["output"]
    np.testing.assert_allclose(found[:, 0], np.array([[1, 0], [0.75, 1], [1.5625, 0.75]]) / 2)


def reading(kind):
    """Weights and biases, a population, and two membranes of it that are read, whose neurons differ."""
    tau = TIME_STEP * np.array([2.0, 4.0])
    membrane = {
        "I": nir.I(3 * ONE),
        "LI": nir.LI(tau, 2 * ONE, 0 * ONE),
        "CubaLI": nir.CubaLI(tau_syn=tau[::-1], tau_mem=tau, r=3 * ONE, v_leak=0 * ONE, w_in=5 * ONE),
    }[kind]
    nodes_ = {
        "first": nir.Affine(whole_numbers(2, 3, 3).astype(float), np.array([1.0, -2, 0])),
        "a": threshold([3], 2.5),
        "second": nir.Affine(whole_numbers(3, 2, 3).astype(float), np.array([3.0, -4])),
        "membrane": membrane,
    }
    return graph([3], nodes_, ["input -> first -> a -> second -> membrane -> output"], [2])


@anyhow
@pytest.mark.parametrize("kind", [pytest.param("I", marks=long), pytest.param("LI", marks=long), "CubaLI"])
def test_in_lava(lava, kind, how):
    """Image by image: nothing of a membrane is left for the next."""
    network, inputs = reading(kind), whole_numbers(4, 5, 4, 3)
    wanted = hardware.interpret(network, inputs)
    found = hardware.lava.simulate(network, inputs, **how)
    assert hardware.compare(wanted, found).mismatches == 0
    assert {*found} == {"a", "output"}
    assert len(np.unique(wanted["output"])) > 10
    alone = hardware.interpret(network, inputs[:, 2:3])["output"]
    np.testing.assert_array_equal(found["output"][:, 2:3], alone)


@pytest.mark.parametrize("kind", [pytest.param("I", marks=long), "LI", pytest.param("CubaLI", marks=long)])
def test_in_lavas_floating_point(lava, kind):
    network, inputs = reading(kind), whole_numbers(4, 5, 2, 3)
    network.nodes["second"].bias *= 0
    if kind == "LI":
        network.nodes["membrane"].v_leak = np.array([0.5, -1.0])
    wanted = hardware.interpret_float(network, inputs)["output"]
    found = hardware.lava.simulate(network, inputs, bit_accurate=False)["output"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert wanted.any()


@pytest.mark.parametrize("sections", [0, pytest.param(1, marks=long)])
def test_overflow_is_seen_in_lava(lava, sections):
    network, inputs = chain([2], nir.I(ONE)), np.full((3, 1, 2), 50_000)
    with pytest.raises(RangeError, match=r"node0: membrane .*131072"):
        hardware.lava.simulate(network, inputs, sections=sections)


@pytest.mark.parametrize("kind", ["I", "LI", "CubaLI"])
def test_in_onnx(kind):
    network, inputs = reading(kind), whole_numbers(4, 5, 4, 3)
    wanted, found = hardware.interpret(network, inputs), hardware.targets()["onnx"].run(network, inputs)
    assert hardware.compare(wanted, found).mismatches == 0
    assert {name: values.dtype for name, values in found.items()} == {n: v.dtype for n, v in wanted.items()}
    with pytest.raises(RangeError, match=r"node0: membrane .*131072"):
        hardware.targets()["onnx"].run(chain([2], nir.I(ONE)), np.full((3, 1, 2), 50_000))


@pytest.mark.parametrize("kind", ["I", "LI", "CubaLI"])
def test_a_population_by_itself(kind):
    """What an Output shows of a membrane, from the spikes that drive it."""
    network, inputs = reading(kind), whole_numbers(4, 5, 4, 3)
    trace = hardware.interpret(network, inputs)
    driven = PopulationGraph(network).driven("output", {**trace, "input": inputs})
    np.testing.assert_array_equal(driven.run(), trace["output"])
    assert driven.threshold((0,)) is None
    np.testing.assert_array_equal(driven.membrane(1, (0,)), trace["output"][:, 1, 0])


def test_where_there_are_none(refuses):
    li = nodes()["LI"][0]
    with refuses(GraphError, "'a'", "alone", "'b' reads it too"):
        hardware.flatten(graph([2], {"a": li, "b": threshold([2])}, ["input -> a -> b -> output"]))
    with refuses(GraphError, "node0: v_leak is 1", "needs 0"):
        hardware.interpret(chain([2], nir.LI(li.tau, li.r, ONE)), np.ones((1, 1, 2), int))
    with refuses(GraphError, "node0: gain of all that arrives is -0.0001", "above 0"):
        hardware.interpret(chain([2], nir.I(-ONE)), np.ones((1, 1, 2), int))
    with refuses(RangeError, "node0", "membrane", "131072"):
        hardware.interpret(chain([2], nir.I(ONE)), np.full((3, 1, 2), 50_000))
