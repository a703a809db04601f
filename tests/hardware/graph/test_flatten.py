"""Graphs are inlined and sorted, and what cannot run is refused in one line before anything does."""

import nir
import numpy as np
import pytest
from small_graphs import Unknown, chain, conv, flatten_node, graph, lif, pool, threshold

import hardware
from hardware import GraphError, RangeError

GATE = threshold([1, 2, 2])


def untyped(nodes, edges, shape=(1, 2, 2), output_shape=None):
    """A graph that NIR's own type check has not seen."""
    return graph(shape, nodes, edges, output_shape, type_check=False)


def test_execution_order_follows_edges_not_names():
    flat = hardware.flatten(graph([1, 2, 2], {"b": GATE, "a": GATE}, ["input -> b -> a -> output", "input -> a"]))
    assert list(flat.nodes) == ["input", "b", "a", "output"]
    assert flat.sources == {"input": (), "b": ("input",), "a": ("b", "input"), "output": ("a",)}
    assert flat.input_name == "input"
    assert flat.names_of(nir.Threshold) == ["b", "a"]


def test_nested_graphs_are_inlined():
    inner = graph([1, 2, 2], {"x": GATE, "y": GATE}, ["input -> x -> y -> output"])
    middle = graph([1, 2, 2], {"inner": inner, "z": GATE}, ["input -> inner -> z -> output", "inner -> output"])
    flat = hardware.flatten(graph([1, 2, 2], {"m": middle}, ["input -> m -> output", "input -> output"]))
    assert list(flat.nodes) == ["input", "m.inner.x", "m.inner.y", "m.z", "output"]
    assert sorted(flat.sources["output"]) == ["input", "m.inner.y", "m.z"]
    assert flat.sources["m.z"] == ("m.inner.y",)


def test_edge_that_is_there_twice_counts_twice():
    flat = hardware.flatten(untyped({"a": GATE}, ["input -> a -> output", "input -> a"]))
    assert flat.sources["a"] == ("input", "input")


@pytest.mark.parametrize("padding", [1, (0, 2), np.array([1, 0]), "same", "valid"])
def test_shapes(padding):
    kernel = np.ones((3, 2, 3, 3))
    flat = hardware.flatten(untyped({"c": conv(kernel, padding=padding)}, ["input -> c -> output"], (2, 5, 6)))
    grown = {"same": (2, 2), "valid": (0, 0)}[padding] if isinstance(padding, str) else 2 * np.array(padding)
    assert flat.shapes["output"] == (3, *(np.array([3, 4]) + grown))


@pytest.mark.parametrize(
    ("nodes", "edges", "parts"),
    [
        ({"a": GATE, "b": GATE}, ["input -> a -> output", "a -> b -> a"], ["cycle", "a -> b -> a"]),
        ({"a": GATE}, ["input -> a -> output", "a -> a"], ["cycle", "a -> a"]),
        ({"a": GATE}, ["input -> a -> output", "a -> nowhere"], ["'nowhere'", "does not exist"]),
        ({"a": GATE}, ["input -> a -> output", "ghost -> a"], ["'ghost'", "does not exist"]),
        ({"a": GATE, "b": GATE}, ["input -> a -> output", "b -> output"], ["'b'", "no input edge"]),
        ({"a": GATE, "second": nir.Input(np.array([1, 2, 2]))}, ["input -> a -> output", "second -> a"],
         ["2 Input nodes", "input, second", "needs one"]),
        ({"a": threshold([1, 2, 3])}, ["input -> a -> output"], ["'a'", "(1, 2, 3)", "'input'", "(1, 2, 2)"]),
        ({"a": nir.Scale(np.ones((1, 2, 3)))}, ["input -> a -> output"], ["'a'", "(1, 2, 3)", "(1, 2, 2)"]),
        ({"a": conv(np.ones((1, 3, 1, 1)))}, ["input -> a -> output"], ["'a'", "(3, 2, 2)", "(1, 2, 2)"]),
        ({"a": conv(np.ones((1, 1, 3, 3)))}, ["input -> a -> output"], ["'a'", "(3, 3)", "(1, 2, 2)"]),
        ({"a": pool(nir.SumPool2d, (3, 3), (1, 1))}, ["input -> a -> output"], ["'a'", "(3, 3)", "(1, 2, 2)"]),
        ({"a": nir.Linear(np.ones((2, 5)))}, ["input -> a -> output"], ["'a'", "(5,)", "(1, 2, 2)"]),
        ({"a": nir.Linear(np.ones((2, 5, 2)))}, ["input -> a -> output"], ["'a'", "(2, 5, 2)", "2 dimensions"]),
        ({"f": flatten_node([1, 2, 2]), "a": pool(nir.SumPool2d, (1, 1), (1, 1))}, ["input -> f -> a -> output"],
         ["'a'", "[channels, height, width]", "(4,)"]),
        ({"a": conv(np.ones((1, 1, 1, 1)), stride=2), "b": GATE}, ["input -> a -> output", "input -> b -> output"],
         ["'output'", "'a' of shape (1, 1, 1)", "'b' of shape (1, 2, 2)"]),
        ({"a": conv(np.ones((1, 1, 2, 2)), padding="same")}, ["input -> a -> output"], ["'a'", "'same'", "odd"]),
        ({"a": conv(np.ones((3, 1, 1, 1)), bias=[1, 2])}, ["input -> a -> output"], ["'a'", "(2,)", "(3,)"]),
        ({"a": nir.CubaLIF(*[np.ones((1, 2, 2))] * 7)}, ["input -> a -> output"], ["a: ", "tau_mem", "an integer"]),
        ({"a": nir.LI(*[np.ones((1, 2, 2))] * 3)}, ["input -> a -> output"], ["a: v_leak is 1", "needs 0"]),
        ({"a": Unknown()}, ["input -> a -> output"], ["'a'", "Unknown", "supported", "Conv2d"]),
        ({"a": nir.Delay(-np.ones((1, 2, 2)))}, ["input -> a -> output"], ["'a'", "delay is -1", "at least 0"]),
        ({"a": nir.Conv1d(2, np.ones((1, 1, 1)), 1, 0, 1, 1, np.zeros(1))}, ["input -> a -> output"],
         ["'a'", "[channels, length]", "(1, 2, 2)"]),
        ({"n": nir.NIRGraph({"i": nir.Input(np.array([1, 2, 2])), "d": Unknown(),
                             "o": nir.Output(np.array([1, 2, 2]))}, [("i", "d"), ("d", "o")])},
         ["input -> n -> output"], ["'n.d'", "Unknown"]),
    ],
)  # fmt: skip
def test_graphs_that_cannot_run(refuses, nodes, edges, parts):
    with refuses(GraphError, *parts):
        hardware.interpret(untyped(nodes, edges), np.zeros((1, 1, 1, 2, 2)))


def test_graphs_without_ends(refuses):
    with refuses(GraphError, "0 Input nodes", "needs one"):
        hardware.flatten(nir.NIRGraph({"output": nir.Output(np.array([1]))}, [], type_check=False))
    with refuses(GraphError, "no Output node"):
        hardware.flatten(nir.NIRGraph({"input": nir.Input(np.array([1]))}, [], type_check=False))
    with refuses(GraphError, "nested graph 'n'", "0 Output nodes"):
        inner = nir.NIRGraph({"input": nir.Input(np.array([1, 2, 2]))}, [], type_check=False)
        hardware.flatten(untyped({"n": inner}, ["input -> n -> output"]))


@pytest.mark.parametrize(
    ("node", "parts"),
    [
        (conv([[[[300]]], [[[1]]]], size=(2, 2)), ["node0: weight 300", "-128 .. 127"]),
        (conv([[[[np.nan]]]], size=(2, 2)), ["node0: weight nan"]),
        (conv([[[[np.inf]]]], size=(2, 2)), ["node0: weight inf"]),
        (conv([[[[1]]]], bias=[0.5], size=(2, 2)), ["node0: bias 0.5"]),
        (conv([[[[1]]]], bias=[np.nan], size=(2, 2)), ["node0: bias nan"]),
        (nir.Scale(np.array([[[1, 200], [3, 4]]])), ["node0: weight 200", "-128 .. 127"]),
    ],
)
def test_numbers_that_do_not_fit(refuses, node, parts):
    with refuses(RangeError, *parts):
        hardware.flatten(chain([1, 2, 2], node, output_shape=[len(getattr(node, "bias", [0])), 2, 2]))


@pytest.mark.parametrize("run", [hardware.interpret, hardware.lava.simulate])
def test_bias_that_does_not_fit(refuses, run):
    """A bias belongs to the neuron: what counts is the sum of all that arrives there."""
    first, second = (conv([[[[1]]]], bias=[bias], size=(1, 1)) for bias in (4095, 8))
    nodes = {"first": first, "second": second, "lif": lif([1, 1, 1])}
    edges = ["input -> first -> lif -> output", "input -> second -> lif"]
    with refuses(RangeError, "lif: bias 4103", "-4096 .. 4095"):
        run(graph([1, 1, 1], nodes, edges), np.zeros((1, 1, 1, 1, 1)))


@pytest.fixture
def written(tmp_path):
    def write(network):
        path = tmp_path / "model.nir"
        nir.write(path, network)
        return path

    return write


def test_read_graph(written):
    path = written(chain([1, 2, 2], GATE))
    assert list(hardware.flatten(hardware.read_graph(path)).nodes) == ["input", "node0", "output"]


def test_file_that_is_no_graph(refuses, tmp_path, written):
    with refuses(GraphError, "nothing.nir", "no such file"):
        hardware.read_graph(tmp_path / "nothing.nir")
    with refuses(GraphError, str(tmp_path), "not a file"):
        hardware.read_graph(tmp_path)
    (tmp_path / "text.nir").write_text("not HDF5\n")
    with refuses(GraphError, "text.nir", "not a readable NIR file"):
        hardware.read_graph(tmp_path / "text.nir")
    path = written(GATE)
    with refuses(GraphError, "model.nir"):
        hardware.read_graph(path)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.95])
def test_truncated_file(refuses, written, kept):
    path = written(chain([1, 2, 2], GATE))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with refuses(GraphError, "model.nir", "not a readable NIR file"):
        hardware.read_graph(path)


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        ({"a": threshold([3, 2, 2])}, ["input -> a -> output"]),
        ({"a": GATE}, ["input -> a -> output", "a -> nowhere"]),
    ],
)
def test_file_with_a_graph_that_does_not_fit(refuses, written, nodes, edges):
    with refuses(GraphError, "model.nir", "a"):
        hardware.read_graph(written(untyped(nodes, edges)))
