"""A mark is checked, never trusted: no wrong mark and no broken gate goes unnoticed."""

import copy

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import chain, conv, graph

import hardware
from hardware import GraphError
from hardware.graph.flatten import flatten
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph
from hardware.graph.marks import is_proven, marked_operation

SHAPE = (4, 2, 2)


def attention():
    return self_attention_graph(SHAPE, 2, 4)


def pool():
    return current_pool_graph((2, 5, 4), (3, 2, 1), -20, 30)


def around(nested):
    """A graph of one nested graph."""
    input_shape, output_shape = (tuple(next(iter(t.values()))) for t in (nested.input_type, nested.output_type))
    return graph(input_shape, {"nested": nested}, ["input -> nested -> output"], output_shape, type_check=False)


@pytest.mark.parametrize("make", [attention, pool])
def test_gates_that_the_toolkit_writes_prove_their_mark(make, tmp_path):
    whole = around(make())
    assert list(flatten(whole, fused=True).operations) == ["nested"]
    hardware.write_graph(whole, tmp_path / "model.nir")
    read = hardware.read_graph(tmp_path / "model.nir")
    assert list(flatten(read, fused=True).operations) == ["nested"]


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (attention, {"scale": 8}),
        (attention, {"heads": 4}),
        (attention, {"heads": 1}),
        (pool, {"stride": 1}),
        (pool, {"padding": 0}),
        (pool, {"kernel": 5}),
        (attention, {"computes": "max-pool of currents", "kernel": 3, "stride": 1, "padding": 1, "low": 0, "high": 1}),
    ],
)
def test_a_wrong_mark_is_an_error(make, changed, refuses):
    nested = make()
    nested.metadata |= changed
    with refuses(GraphError, "'nested'", "is marked", "but"):
        flatten(around(nested), fused=True)
    assert flatten(around(nested)).internal  # gate by gate it is what the file says


def test_a_graph_that_computes_something_else_is_no_self_attention(refuses):
    nested = chain((3, 2, 2), conv(np.ones((1, 3, 1, 1)), size=(2, 2)), output_shape=(1, 2, 2))
    nested.metadata = {"computes": "spiking self-attention", "heads": 1, "scale": 1}
    with refuses(GraphError, "'nested'", "spiking self-attention", "gives", "samples"):
        hardware.interpret(around(nested), np.ones((1, 1, 3, 2, 2)))


@st.composite
def broken(draw):
    """A nested graph in which one number of one node, or one edge, is another; and how."""
    nested = copy.deepcopy(draw(st.sampled_from([attention, pool]))())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()) and draw(st.booleans()):
        edge = nested.edges.pop(random.integers(len(nested.edges)))
        return nested, f"without {edge}"
    names = [name for name, node in nested.nodes.items() if not isinstance(node, (nir.Input, nir.Output))]
    name = names[random.integers(len(names))]
    node = nested.nodes[name]
    field = {nir.Threshold: "threshold", nir.Conv2d: "weight", nir.Scale: "scale"}.get(type(node))
    if field is None:
        node.kernel_size = node.kernel_size - 1
        return nested, f"{name} has a smaller kernel"
    values = np.array(getattr(node, field))
    place = tuple(random.integers(n) for n in values.shape)
    values[place] += draw(st.sampled_from([1, -1, 2, -4]))
    setattr(node, field, values)
    return nested, f"{name}.{field}{list(place)}"


@given(broken())
def test_no_broken_gate_survives(example):
    """Either an error names it, or the gates are executed as they are; never the operation in their place."""
    nested, _ = example
    assert not is_proven(marked_operation("nested", nested), nested)
    try:
        operations = flatten(around(nested), fused=True).operations
    except GraphError:
        return
    assert not operations


def test_other_gates_that_compute_the_same_are_executed():
    """A detour through one more convolution: nothing is proven, and nothing is wrong."""
    nested = attention()
    identity = conv(np.eye(4)[:, :, None, None], size=(2, 2))
    nested.nodes["detour"] = identity
    nested.edges = [(s, t) for s, t in nested.edges if t != "output"] + [("collect", "detour"), ("detour", "output")]
    whole = around(nested)
    assert not flatten(whole, fused=True).operations
    spikes = (np.random.default_rng(0).random((2, 3, 12, 2, 2)) < 0.5).astype(int)
    wanted = hardware.interpret(around(attention()), spikes)["output"]
    assert np.array_equal(hardware.interpret(whole, spikes)["output"], wanted)


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"heads": 3}, ["heads 3", "4 channels"]),
        ({"scale": 3}, ["power of two"]),
        ({"heads": "many"}, ["'many'"]),
        ({"heads": None}, ["spiking self-attention"]),
    ],
)
def test_marks_that_make_no_sense(changed, parts, refuses):
    nested = attention()
    nested.metadata |= changed
    with refuses(GraphError, "'nested'", *parts):
        flatten(around(nested), fused=True)


def test_inputs_for_which_gates_compute_something_else(refuses):
    with refuses(hardware.RangeError, "nested", "2", "spikes"):
        hardware.interpret(around(attention()), np.full((1, 1, 12, 2, 2), 2))
    with refuses(hardware.RangeError, "nested", "31", "-20 .. 30"):
        hardware.interpret(around(pool()), np.full((1, 1, 2, 5, 4), 31))


def test_a_pool_of_version_0_1_0_is_executed_gate_by_gate():
    nested = pool()
    del nested.metadata["low"], nested.metadata["high"]
    assert not flatten(around(nested), fused=True).operations
    currents = np.random.default_rng(0).integers(-20, 31, (1, 2, 2, 5, 4))
    found = (hardware.interpret(around(n), currents)["output"] for n in (nested, pool()))
    assert np.array_equal(*found)
