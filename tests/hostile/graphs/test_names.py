"""Names are data: whatever nodes are called, every target gives each its own spikes, and files keep them."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import conv, lif

import hardware
from hardware import GraphError, PackedTrace, SpikeTrace

ODD = [
    *("..", "...", "a.b", "a", "a.b.c", "\n", "\x1b[31m", "é", "\u202eabc", "x" * 5000, " ", "  ", "%s", "{}", "[/x]"),
    *("trace.json", "0", "1", "file", "allow_pickle", "self", "None", "nan", "__class__", "a'", "a''", "\ufffd"),
    *("logits", "within_limits", "constant_3", "cast_5", "time_steps", "batch", "network", "scan", "identity_1"),
    *("c0.input", "c1.input", "c1.input'", "input.delayed.3", "output recorder", "c0 guard", "input -> c0 (identity)"),
    *("../../etc/passwd", "/", "a/b", "type", "node", "nodes", "edges", "metadata", "version", "type_check"),
]
names = st.lists(st.sampled_from(ODD) | st.text(min_size=1, max_size=6), min_size=6, max_size=6, unique=True)


def network(names) -> nir.NIRGraph:
    """Two branches of unequal depth, whose sum a synapse reads: it needs relays, of its own names."""
    into, first, second, between, last, out = names
    shape = (1, 2, 2)
    nodes = {
        into: nir.Input(np.array(shape)),
        first: conv([[[[2]]]], size=(2, 2)),
        second: lif(shape, threshold=1),
        between: conv([[[[3]]]], size=(2, 2)),
        last: lif(shape, threshold=2),
        out: nir.Output(np.array(shape)),
    }
    edges = [(into, first), (first, second), (second, between), (into, between), (between, last)]
    return nir.NIRGraph(nodes, [*edges, (second, last), (last, out)], type_check=False)


def same(names, found) -> None:
    """Under any names, the spikes of the network of plain names."""
    plain = ["input", "first", "second", "between", "last", "output"]
    inputs = np.random.default_rng(0).integers(-3, 4, (3, 2, 1, 2, 2))
    wanted = hardware.interpret(network(plain), inputs)
    trace = found(network(names), inputs)
    assert list(trace) == [names[plain.index(name)] for name in wanted]
    for name, values in wanted.items():
        np.testing.assert_array_equal(trace[names[plain.index(name)]], values)


@random_examples(200, 20)
@given(names)
def test_targets_and_traces(tmp_path_factory, names):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "names.trace"

    def saved(graph, inputs):
        SpikeTrace(hardware.interpret(graph, inputs)).save(path)
        assert list(PackedTrace.load(path)) == list(SpikeTrace.load(path))
        return SpikeTrace.load(path)

    def written(graph, inputs):
        hardware.write_graph(graph, folder / "names.nir", check=True)
        return hardware.interpret(hardware.read_graph(folder / "names.nir"), inputs)

    for found in hardware.interpret, hardware.interpret_stepwise, hardware.targets()["onnx"].run, saved:
        same(names, found)
    plan = hardware.schedule(hardware.flatten(network(names)))
    assert len(plan.recorded) == 3
    if any("/" in name or "\0" in name or name == "." for name in names):
        with pytest.raises(GraphError, match="name that no NIR file can hold"):
            same(names, written)
    else:
        same(names, written)


@pytest.mark.long
@pytest.mark.parametrize("sections", [0, 1])
def test_lava(lava, sections):
    names = ["c0.input", "[x]\n", "c1.input", "..", "a.b", "file"]
    same(names, lambda graph, inputs: hardware.lava.simulate(graph, inputs, sections=sections))


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_names_that_are_no_text(name, refuses):
    with refuses(GraphError, "node", "Unicode"):
        hardware.flatten(network(["input", "a", "b", "c", name, "output"]))


def test_a_name_that_a_nested_graph_gives_too(refuses):
    inner = network(["i", "b", "c", "d", "e", "o"])
    for other in ("a.b", "a.c"):
        graph = network(["input", "x", other, "y", "z", "output"])
        graph.nodes["a"] = inner
        graph.edges += [("input", "a"), ("a", "output")]
        with refuses(GraphError, f"'{other}'", "twice"):
            hardware.flatten(graph)
