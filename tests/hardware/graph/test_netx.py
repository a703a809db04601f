"""The file for lava-dl's netx: what it holds, and what stops it. `make lava-dl` runs such files in netx itself."""

import h5py
import nir
import numpy as np
import pytest
from small_graphs import chain, conv, cubalif, flatten_node, graph, lif, pool, whole_numbers

import hardware
from hardware import GraphError, RangeError


def layers_in_a_row():
    nodes = (
        conv(whole_numbers(1, 2, 1, 3, 3), bias=[5, -3], padding=1, stride=(2, 1), size=(4, 5)),
        lif([2, 2, 5], 1365, 20),
        flatten_node((2, 2, 5)),
        nir.Affine(whole_numbers(2, 3, 20).astype(np.float32), np.array([4.0, 0, -1])),
        cubalif([3], 1200, 1365, 30),
    )
    return chain([1, 4, 5], *nodes, output_shape=[3])


def test_layers(tmp_path):
    network = layers_in_a_row()
    hardware.write_netx(network, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        layers = [file[f"layer/{index}"] for index in range(len(file["layer"]))]
        assert [layer["type"][0] for layer in layers] == [b"input", b"conv", b"flatten", b"dense"]
        assert layers[0]["shape"][()].tolist() == [1, 4, 5]
        found, node = layers[1], network.nodes["node0"]
        np.testing.assert_array_equal(found["weight"][..., 0], node.weight)
        assert [found[name][()].tolist() for name in ("shape", "stride", "padding", "dilation", "bias")] == [
            [2, 2, 5], [2, 1], [1, 1], [1, 1], [5, -3]
        ]  # fmt: skip
        assert [int(found["neuron"][name][()]) for name in ("iDecay", "vDecay", "vThMant")] == [4096, 1365, 20]
        found, node = layers[3], network.nodes["node3"]
        np.testing.assert_array_equal(found["weight"], node.weight)
        assert found["bias"][()].tolist() == [4, 0, -1]
        assert [int(found["neuron"][name][()]) for name in ("iDecay", "vDecay", "vThMant")] == [1200, 1365, 30]


DENSE = nir.Affine(whole_numbers(2, 2, 2).astype(np.float32), np.zeros(2, np.float32))


def branched(*paths, **nodes):
    return graph([2], {"a": DENSE, "s": lif([2], 1365, 20), **nodes}, list(paths), [2])


def dense(*weights):
    return chain([2], nir.Linear(np.array(weights, np.float32)), lif([2], 1365, 20))


REFUSED = {
    "a skip": (branched("input -> a -> s -> output", "input -> s"), ["'input' is read by", "in a row only"]),
    "a sum": (
        branched("input -> a -> s -> b -> output", "s -> output", b=DENSE),
        ["'s' is read by", "in a row only"],
    ),
    "a head": (branched("input -> a -> s -> b -> output", b=DENSE), ["'b' is read by 'output' without a neuron"]),
    "a pool": (
        chain([1, 4, 4], pool(nir.SumPool2d, [2, 2], [2, 2], [0, 0]), lif([1, 2, 2]), output_shape=[1, 2, 2]),
        ["'node0' is a SumPool2d, for which netx has no layer"],
    ),
    "nothing": (chain([2]), ["no layer between Input and Output"]),
    "a large weight": (dense([300, 4], [8, -4]), ["'node0' has weights within -4 .. 300", "netx holds -256 .. 254"]),
    "no weight": (dense([0, 0], [0, 0]), ["'node0' has weights within 0 .. 0"]),
    "a large bias": (
        chain([2], nir.Affine(DENSE.weight, np.array([0.0, 8190])), lif([2], 1365, 20)),
        ["'node1' has a bias of 8190", "-4096 .. 4095"],
    ),
    "two thresholds": (
        chain([2], DENSE, lif([2], 1365, np.array([20, 30]))),
        ["'node1' has neurons that differ in vThMant"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stops_it(name, refuses, tmp_path):
    network, parts = REFUSED[name]
    with refuses(GraphError, *parts):
        hardware.write_netx(network, tmp_path / "a.net")
    assert not any(tmp_path.iterdir())


def test_numbers_must_be_the_chips(refuses, tmp_path):
    with refuses(RangeError, "node0", "0.5"):
        hardware.write_netx(dense([0.5, 1], [1, 2]), tmp_path / "a.net")
