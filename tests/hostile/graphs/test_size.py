"""Small files and small graphs that ask for much: refused, or done in time and memory that their size explains."""

import itertools
import time
import tracemalloc

import h5py
import nir
import numpy as np
import pytest
from small_graphs import chain, lif, threshold

import hardware
from hardware import GraphError


def passing(count: int, edges: int) -> nir.NIRGraph:
    """Nested graphs in a row, each of which passes on what arrives, `edges` times."""
    network = chain((1,), threshold((1,)))
    for number in range(count):
        ends = {"in": nir.Input(np.array([1])), "out": nir.Output(np.array([1]))}
        network.nodes[f"n{number}"] = nir.NIRGraph(ends, [("in", "out")] * edges, type_check=False)
    names = ["input", *(f"n{number}" for number in range(count)), "node0"]
    network.edges = [*itertools.pairwise(names), ("node0", "output")]
    return network


def test_inlining_is_linear():
    """Ten thousand nested graphs: a pass over all edges for each of them would take minutes."""
    start = time.perf_counter()
    flat = hardware.flatten(passing(10_000, 1))
    assert list(flat.nodes) == ["input", "node0", "output"]
    assert flat.sources["node0"] == ("input",)
    assert time.perf_counter() - start < 20


def test_what_doubles_without_end(refuses):
    with refuses(GraphError, "multiply", "1,000,000"):
        hardware.flatten(passing(80, 2))


def test_passing_on_in_a_circle(refuses):
    network = passing(2, 1)
    network.edges.append(("n1", "n0"))
    with refuses(GraphError, "cycle", "n0.in"):
        hardware.flatten(network)


def test_nested_without_end(refuses):
    network = chain((1,), threshold((1,)))
    for _ in range(200):
        ends = {"in": nir.Input(np.array([1])), "out": nir.Output(np.array([1]))}
        edges = [("in", "n"), ("n", "out")]
        network = nir.NIRGraph({**ends, "n": network}, edges, type_check=False)
    with refuses(GraphError, "65 graphs deep", "64 is the limit"):
        hardware.flatten(network)


@pytest.mark.parametrize("shape", [(60_000, 60_000), (1 << 20, 1 << 20), (1,) * 20])
def test_maps_that_nothing_holds(shape, refuses):
    network = chain((1,), threshold((1,)))
    network.nodes["input"] = nir.Input(np.array(shape))
    tracemalloc.start()
    with pytest.raises(GraphError, match="limit"):
        hardware.flatten(network)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_small_file_of_large_arrays(tmp_path):
    """What deflates best, a thousandth of its size: taken, and no more memory than it declares."""
    shape = (64, 64, 64)
    hardware.write_graph(chain(shape, *[lif(shape)] * 4), tmp_path / "g.nir")
    declared = 4 * 5 * 64**3 * 4
    assert (tmp_path / "g.nir").stat().st_size < declared / 100
    tracemalloc.start()
    hardware.read_graph(tmp_path / "g.nir")
    assert tracemalloc.get_traced_memory()[1] < 1.5 * declared
    tracemalloc.stop()


def test_many_arrays_that_were_never_written(tmp_path, refuses):
    hardware.write_graph(chain((1,), lif((1,))), tmp_path / "g.nir")
    with h5py.File(tmp_path / "g.nir", "r+") as file:
        del file["node/nodes/node0/tau"]
        file.create_dataset("node/nodes/node0/tau", (1 << 16,), "f4")
    with refuses(GraphError, "g.nir", "tau", "262,144 bytes"):
        hardware.read_graph(tmp_path / "g.nir")
