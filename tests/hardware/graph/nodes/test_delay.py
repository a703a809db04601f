"""Delay: value by value, on every target, and never from one image to the next."""

import nir
import numpy as np
import pytest
from run_sections import run_sections
from small_graphs import TIME_STEP, chain, conv, flatten_node, graph, integrate_and_fire, lif, threshold, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import GraphError

SHAPE = (2, 3, 2)


def delay(steps):
    return nir.Delay(np.asarray(steps) * TIME_STEP)


def test_value_by_value():
    steps = whole_numbers(0, *SHAPE, low=0, high=5)
    inputs = whole_numbers(1, 4, 3, *SHAPE)
    for run in (hardware.interpret, hardware.interpret_stepwise, hardware.interpret_float):
        found = run(chain(SHAPE, delay(steps), type_check=False), inputs)["output"]
        for t, *place in np.ndindex(4, *SHAPE):
            wait = steps[tuple(place)]
            wanted = inputs[(t - wait, slice(None), *place)] if wait <= t else np.zeros(3)
            np.testing.assert_array_equal(found[(t, slice(None), *place)], wanted)


def test_seconds_are_rounded_to_time_steps():
    inputs = np.arange(1, 5).reshape(4, 1, 1)
    network = chain([1], nir.Delay(np.array([0.00249])), type_check=False)
    assert hardware.interpret(network, inputs, time_step=1e-3)["output"].reshape(-1).tolist() == [0, 0, 1, 2]


def with_delays(longest):
    """Delays of spikes, of what is graded, of a sum, and one beside a recurrence; biases behind them."""
    waits = whole_numbers(3, *SHAPE, low=0, high=longest + 1)
    waits[0, 0, 0] = longest
    nodes = {
        "conv": conv(whole_numbers(1, 2, 2, 3, 3), padding=1, size=(3, 2)),
        "graded": delay(whole_numbers(2, *SHAPE, low=0, high=3)),
        "a": lif(SHAPE, 1365, 30),
        "spikes": delay(waits),
        "mix": conv(whole_numbers(4, 2, 2, 1, 1), bias=[4, -1], size=(3, 2)),
        "b": integrate_and_fire(SHAPE, 15),
        "back": conv(whole_numbers(5, 2, 2, 1, 1), bias=[1, 1], size=(3, 2)),
        "both": delay(np.ones(SHAPE)),
        "c": threshold(SHAPE, 1.5),
        "flat": flatten_node(SHAPE),
        "head": nir.Linear(whole_numbers(6, 3, 12).astype(float)),
    }
    edges = ["input -> conv -> graded -> a -> spikes -> mix -> b -> back -> b", "a -> both -> c", "b -> both"]
    edges += ["spikes -> c", "c -> flat -> head -> output"]
    return graph(SHAPE, nodes, edges, (3,), type_check=False)


@anyhow
@pytest.mark.parametrize(
    "time_steps", [4, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]
)
def test_in_lava(lava, how, time_steps):
    inputs = whole_numbers(0, time_steps, 4, *SHAPE)
    wanted = hardware.interpret(with_delays(3), inputs)
    assert all(wanted[name].any() for name in "abc") or time_steps == 1
    assert hardware.compare(wanted, hardware.lava.simulate(with_delays(3), inputs, **how)).first_divergence is None


@pytest.mark.parametrize("time_steps", [1, 3, 140])
def test_delays_beyond_the_chips_limit_go_through_relays(tmp_path, time_steps):
    network, inputs = with_delays(130), whole_numbers(0, time_steps, 2, *SHAPE)
    plan = hardware.schedule(hardware.flatten(network))
    assert {name for name in plan.delays if name.startswith("spikes")} == {"spikes.1", "spikes.2", "spikes"}
    assert max(steps.max() for steps in plan.delays.values()) == 62
    for sections in (1, 3):
        found = run_sections(network, inputs, sections, tmp_path)
        assert hardware.compare(hardware.interpret(network, inputs), found).mismatches == 0


@pytest.mark.parametrize("time_steps", [1, 3, 140])
@pytest.mark.parametrize("longest", [3, 130])
def test_in_onnx(longest, time_steps):
    network, inputs = with_delays(longest), whole_numbers(0, time_steps, 2, *SHAPE)
    found = hardware.targets()["onnx"].run(network, inputs)
    assert hardware.compare(hardware.interpret(network, inputs), found).first_divergence is None


def test_a_population_behind_a_delay_by_itself():
    from hardware.graph.populations import PopulationGraph

    network, inputs = with_delays(2), whole_numbers(0, 5, 2, *SHAPE)
    values = {**hardware.interpret(network, inputs), "input": inputs}
    for name in "abc":
        np.testing.assert_array_equal(PopulationGraph(network).driven(name, values).run(), values[name])


def test_what_has_no_delay(refuses):
    network = chain([1], nir.Affine(np.ones((1, 1)), np.ones(1)), delay([1]), type_check=False)
    with refuses(GraphError, "bias of 1", "'node1'", "behind the delay"):
        hardware.interpret(network, np.ones((1, 1, 1), int))
    cycle = graph([1], {"a": threshold([1]), "d": delay([1])}, ["input -> a -> d -> a -> output"], type_check=False)
    with refuses(GraphError, "cycle", "'d'", "Delay"):
        hardware.interpret(cycle, np.ones((1, 1, 1), int))
