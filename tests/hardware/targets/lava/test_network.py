import numpy as np
import pytest
from small_graphs import conv, graph, lif

import hardware


@pytest.fixture
def build(lava):
    """`hardware.targets.lava.network.build`, in this process: nothing runs."""
    from hardware.targets.lava.compat import prepare_lava

    prepare_lava()
    from hardware.targets.lava.network import build

    return build


def test_process_count_is_that_of_the_processes_built(build, tmp_path):
    shape = (1, 3, 3)
    nodes = {"conv": conv([[[[1]]]], size=(3, 3)), "a": lif(shape), "b": lif(shape)}
    edges = ["input -> conv -> a -> b -> output", "a -> output", "input -> b", "input -> b"]
    flat = hardware.flatten(graph(shape, nodes, edges, type_check=False))
    plan = hardware.schedule(flat)
    processes = build(flat, plan, np.zeros((8, *shape), np.int8), 2, tmp_path)
    populations, connections, recorders = 4, 6, 3
    assert len(processes) == len(set(map(id, processes.values()))) == populations + connections + recorders
    assert hardware.lava.process_count(plan) == len(processes)


def test_resets_are_those_of_the_schedule(build, tmp_path):
    flat = hardware.flatten(graph([1], {"a": lif([1]), "b": lif([1])}, ["input -> a -> b -> output"]))
    plan = hardware.schedule(flat)
    processes = build(flat, plan, np.zeros((9, 1), np.int8), 3, tmp_path)
    assert processes["a"].proc_params["reset_offset"] == 2
    assert processes["b"].proc_params["reset_offset"] == 0
    assert {processes[name].proc_params["reset_interval"] for name in "ab"} == {3}
