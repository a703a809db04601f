"""Depths, delays and reset phases of hand-written graphs."""

import nir
import numpy as np
import pytest
from small_graphs import chain, conv, flatten_node, graph, lif, pool, threshold

import hardware
from hardware import GraphError

SHAPE = (2, 4, 4)


def one_by_one(channels=2):
    return conv(np.ones((channels, channels, 1, 1)), size=(4, 4))


def plan_of(network):
    return hardware.schedule(hardware.flatten(network))


def populations(plan):
    """name -> (kind, depth), in execution order."""
    return {name: (population.kind, population.depth) for name, population in plan.populations.items()}


def connections(plan):
    """(source, target, synapse, delay) of every connection."""
    return {(c.source, c.target, c.synapse, c.delay) for c in plan.connections}


def test_synapses_cost_a_step_and_neurons_none():
    plan = plan_of(chain(SHAPE, one_by_one(), lif(SHAPE), one_by_one(), lif(SHAPE)))
    assert populations(plan) == {
        "input": ("input", 0),
        "node1": ("neuron", 1),
        "node3": ("neuron", 2),
        "output": ("output", 3),
    }
    assert connections(plan) == {
        ("input", "node1", "node0", 0),
        ("node1", "node3", "node2", 0),
        ("node3", "output", None, 0),
    }
    assert plan.depth == 3
    assert plan.steps(images=5, time_steps=4) == 23


def test_two_branches_of_unequal_depth_meet():
    """The short branch waits in its synapse: identities may be delayed."""
    nodes = {"a": lif(SHAPE), "b": lif(SHAPE), "c": lif(SHAPE), "and": threshold(SHAPE, 1.5)}
    plan = plan_of(graph(SHAPE, nodes, ["input -> a -> b -> c -> and -> output", "a -> and"]))
    assert populations(plan)["and"] == ("neuron", 4)
    assert ("c", "and", None, 0) in connections(plan)
    assert ("a", "and", None, 2) in connections(plan)


def test_convolution_that_must_wait_reads_a_relay():
    """Lava's Conv has no delay: a relay repeats the source at the last moment, once for all who wait as long."""
    nodes = {"a": lif(SHAPE), "b": lif(SHAPE), "c": lif(SHAPE), "x": one_by_one(), "y": one_by_one()}
    nodes |= {"d": lif(SHAPE), "e": lif(SHAPE)}
    edges = ["input -> a -> b -> c -> d -> output", "a -> x -> d", "a -> y -> e -> output", "c -> e"]
    plan = plan_of(graph(SHAPE, nodes, edges))
    (relay,) = (name for name, (kind, _) in populations(plan).items() if kind == "relay")
    assert populations(plan)[relay] == ("relay", 3)
    assert {c for c in connections(plan) if relay in c} == {
        ("a", relay, None, 1),
        (relay, "d", "x", 0),
        (relay, "e", "y", 0),
    }


def test_sum_that_a_synapse_reads_is_added_up_once():
    nodes = {"a": lif(SHAPE), "b": lif(SHAPE), "x": one_by_one(), "y": one_by_one(), "c": lif(SHAPE), "d": lif(SHAPE)}
    edges = ["input -> a -> b -> x -> c -> output", "a -> x", "b -> y -> d -> output", "a -> y"]
    plan = plan_of(graph(SHAPE, nodes, edges))
    (relay,) = (name for name, (kind, _) in populations(plan).items() if kind == "relay")
    assert {c for c in connections(plan) if relay in c} == {
        ("a", relay, None, 1),
        ("b", relay, None, 0),
        (relay, "c", "x", 0),
        (relay, "d", "y", 0),
    }


def test_residual_stream_grows_term_by_term():
    """Each longer sum takes the shorter one from its relay and adds only what is new."""
    nodes, edges = {"s0": lif(SHAPE)}, ["input -> s0"]
    for n in range(1, 4):
        nodes |= {f"conv{n}": one_by_one(), f"s{n}": lif(SHAPE)}
        edges += [f"s{earlier} -> conv{n}" for earlier in range(n)] + [f"conv{n} -> s{n}"]
    plan = plan_of(graph(SHAPE, nodes, [*edges, "s3 -> output"]))
    into = {
        name: {(c.source, c.delay) for c in plan.connections if c.target == name}
        for name, (kind, _) in populations(plan).items()
        if kind == "relay"
    }
    assert into == {
        "conv2.input": {("s0", 1), ("s1", 0)},
        "conv3.input": {("conv2.input", 1), ("s2", 0)},
    }
    assert populations(plan)["s3"] == ("neuron", 6)  # s0 1, s1 2, sum 3, s2 4, sum 5


def test_linear_after_linear_needs_a_relay():
    plan = plan_of(
        chain(SHAPE, one_by_one(), pool(nir.SumPool2d, (2, 2), (2, 2)), lif((2, 2, 2)), output_shape=(2, 2, 2))
    )
    assert populations(plan)["node1.input"] == ("relay", 1)
    assert plan.populations["node1.input"].shape == SHAPE
    assert connections(plan) >= {("input", "node1.input", "node0", 0), ("node1.input", "node2", "node1", 0)}


def test_flatten_costs_nothing():
    nodes = [lif(SHAPE), flatten_node(SHAPE), nir.Linear(np.ones((3, 32))), lif((3,))]
    plan = plan_of(chain(SHAPE, *nodes, output_shape=(3,)))
    assert populations(plan) == {
        "input": ("input", 0),
        "node0": ("neuron", 1),
        "node3": ("neuron", 2),
        "output": ("output", 3),
    }
    assert ("node0", "node3", "node2", 0) in connections(plan)


def test_reset_begins_the_window():
    """Lava counts steps from 1: a population at depth d sees the first image in steps 1 + d .. d + T."""
    plan = plan_of(chain(SHAPE, *(lif(SHAPE) for _ in range(5))))
    offsets = [population.reset_offset(3) for population in plan.populations.values()]
    assert offsets == [1, 2, 0, 1, 2, 0, 1]
    assert {population.reset_offset(1) for population in plan.populations.values()} == {0}


def long_branch(steps):
    """A population that meets another `steps` steps later."""
    nodes = {f"n{i}": threshold([1]) for i in range(steps + 1)}
    return graph(
        [1], nodes | {"and": threshold([1], 1.5)}, [" -> ".join(["input", *nodes, "and", "output"]), "n0 -> and"]
    )


def test_longest_delay():
    assert ("n0", "and", None, 62) in connections(plan_of(long_branch(62)))


@pytest.mark.parametrize(
    ("steps", "relays"), [(63, [("n0.delayed.64", 62, 0)]), (125, [("n0.delayed.64", 62, 62)]), (126, None)]
)
def test_a_longer_delay_is_shared_with_relays(steps, relays):
    plan = plan_of(long_branch(steps))
    assert max(c.delay for c in plan.connections) == 62
    for name, before, after in relays or []:
        assert {("n0", name, None, before), (name, "and", None, after)} <= connections(plan)
    for c in plan.connections:  # every source arrives when its target is due
        assert plan.populations[c.source].depth + 1 + c.delay == plan.populations[c.target].depth
    if relays is None:
        assert len([name for name in plan.populations if "delayed" in name]) == 2


def test_average_pool(refuses):
    average = pool(nir.AvgPool2d, (2, 2), (2, 2))
    with refuses(GraphError, "'node0'", "AvgPool2d", "SumPool2d"):
        plan_of(chain(SHAPE, average, lif((2, 2, 2)), output_shape=(2, 2, 2)))


@pytest.mark.parametrize("times", [2, 3])
def test_source_that_counts_twice_has_a_connection_for_each(times):
    network = graph([1], {"a": threshold([1], times - 0.5)}, ["input -> a"] * times + ["a -> output"], type_check=False)
    assert [c.target for c in plan_of(network).connections if c.source == "input"] == ["a"] * times
