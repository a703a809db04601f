"""A NIR file holds what it is read for, and nothing else is read."""

import itertools
import os

import h5py
import nir
import numpy as np
import pytest
from small_graphs import chain, conv, lif, threshold

import hardware
from hardware import GraphError


@pytest.fixture
def file(tmp_path):
    """A good file, to be spoilt."""
    path = tmp_path / "model.nir"
    network = chain((1, 4, 4), conv(np.ones((1, 1, 1, 1)), size=(4, 4)), lif((1, 4, 4)))
    hardware.write_graph(network, path)
    assert list(hardware.read_graph(path).nodes) == ["input", "node0", "node1", "output"]
    return path


WEIGHT = "node/nodes/node0/weight"


def outside(file, path):
    (path.parent / "other.bin").write_bytes(bytes(64))
    del file[WEIGHT]
    storage = [(str(path.parent / "other.bin"), 0, 4)]
    file.create_dataset(WEIGHT, (1, 1, 1, 1), "f4", external=storage)


def link_to_a_file(file, path):
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["weight"] = np.ones((1, 1, 1, 1))
    del file[WEIGHT]
    file[WEIGHT] = h5py.ExternalLink("other.h5", "weight")


def soft_link(file, path):
    del file[WEIGHT]
    file[WEIGHT] = h5py.SoftLink("/node/nodes/node1/tau")


def cycle(file, path):
    file["node/nodes/again"] = file["node"]


def virtual(file, path):
    del file[WEIGHT]
    layout = h5py.VirtualLayout((1, 1, 1, 1), "f4")
    layout[:] = h5py.VirtualSource(str(path.parent / "other.h5"), "weight", (1, 1, 1, 1))
    file.create_virtual_dataset(WEIGHT, layout)


def never_written(file, path):
    del file[WEIGHT]
    file.create_dataset(WEIGHT, (1, 1, 40_000, 40_000), "f4", chunks=(1, 1, 1000, 1000), compression="gzip")


def deep(file, path):
    group = file["node/nodes"]
    for _ in range(100):
        group = group.create_group("deeper")


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (outside, "outside of the file"),
        (link_to_a_file, "link to elsewhere"),
        (soft_link, "link to elsewhere"),
        (cycle, "linked twice"),
        (virtual, "outside of the file"),
        (never_written, "6,400,000,000 bytes"),
        (deep, "64 is the limit"),
    ],
)
def test_what_is_refused_before_it_is_read(spoil, part, file, refuses):
    with h5py.File(file, "r+") as opened:
        spoil(opened, file)
    with refuses(GraphError, "model.nir", "not a readable NIR file", part):
        hardware.read_graph(file)


@pytest.mark.parametrize("name", ["a/b", "", "."])
def test_names_that_no_file_can_hold(name, tmp_path, refuses):
    network = chain((1,), threshold((1,)))
    network.nodes[name] = network.nodes.pop("node0")
    network.edges = [(s.replace("node0", name), t.replace("node0", name)) for s, t in network.edges]
    with refuses(GraphError, "name that no NIR file can hold"):
        hardware.write_graph(network, tmp_path / "model.nir")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_no_file(tmp_path, refuses):
    os.mkfifo(tmp_path / "pipe")
    with refuses(GraphError, "pipe", "not a file"):
        hardware.read_graph(tmp_path / "pipe")


def test_nested_graphs_that_multiply_without_end(refuses):
    """Each passes its input on twice, so what arrives doubles eighty times."""
    network = chain((1,), threshold((1,)))
    for number in range(80):
        ends = {"in": nir.Input(np.array([1])), "out": nir.Output(np.array([1]))}
        network.nodes[f"twice{number}"] = nir.NIRGraph(ends, [("in", "out")] * 2, type_check=False)
    names = ["input", *(f"twice{number}" for number in range(80)), "node0"]
    network.edges = [*itertools.pairwise(names), ("node0", "output")]
    with refuses(GraphError, "multiply", "1,000,000"):
        hardware.flatten(network)
