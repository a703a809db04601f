"""A graph does what its gates say, whatever its mark says: on every target, or the mark is refused."""

import nir
import numpy as np
import pytest
from amount import random_examples
from hostile.graphs.spoil import marked
from hypothesis import given
from hypothesis import strategies as st

import hardware
from hardware.errors import UserError
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph

MAKE = {
    "attention": lambda: self_attention_graph((2, 2, 2), 1, 2),
    "heads": lambda: self_attention_graph((4, 1, 2), 2, 1),
    "pool": lambda: current_pool_graph((1, 4, 3), (3, 2, 1), -3, 4),
}
MARKS = st.fixed_dictionaries(
    {},
    optional={
        "computes": st.sampled_from(["spiking self-attention", "max-pool of currents", "something", 3]),
        "heads": st.sampled_from([1, 2, 4, 1.5, 0, -1, 10**9, "2", None, float("nan")]),
        "scale": st.sampled_from([1, 2, 4, 2**12, 2**40, 0.5, -2, [1, 2]]),
        "kernel": st.sampled_from([1, 3, 5, 2, 255, 10**9]),
        "stride": st.sampled_from([1, 2, 3, 0]),
        "padding": st.sampled_from([0, 1, 2, 10**9]),
        "low": st.sampled_from([-4, -3, 0, -(2**40), 2**62]),
        "high": st.sampled_from([4, 3, 100, 2**40]),
    },
)


@st.composite
def examples(draw) -> nir.NIRGraph:
    """Gates of which up to three are other ones, under a mark of which some parts may be others."""
    nested = MAKE[draw(st.sampled_from(sorted(MAKE)))]()
    nested.metadata |= draw(MARKS)
    names = [name for name, node in nested.nodes.items() if isinstance(node, (nir.Threshold, nir.Conv2d, nir.Scale))]
    for _ in range(draw(st.integers(0, 3))):
        node = nested.nodes[draw(st.sampled_from(names))]
        field = {nir.Threshold: "threshold", nir.Conv2d: "weight", nir.Scale: "scale"}[type(node)]
        values = np.array(getattr(node, field))
        values.flat[draw(st.integers(0, values.size - 1))] += draw(st.sampled_from([1, -1, 2]))
        setattr(node, field, values)
    if draw(st.booleans()) and draw(st.booleans()):
        nested.edges.pop(draw(st.integers(0, len(nested.edges) - 1)))
    return marked(nested)


def check(graph, run) -> None:
    """A target gives what the gates give, or an error says why it does not run."""
    shape = tuple(next(iter(graph.input_type.values())))
    inputs = np.random.default_rng(0).integers(-3, 4, (3, 8, *shape))
    try:
        found = run(graph, inputs)
    except UserError:
        return
    wanted = hardware.interpret(graph, inputs, fused=False)
    assert hardware.compare(wanted, found).mismatches == 0


@pytest.mark.parametrize("target", ["interpreter", "onnx"])
@random_examples(300, 15)
@given(examples())
def test_no_mark_is_believed(target, graph):
    check(graph, hardware.targets()[target].run)


@pytest.mark.long
@random_examples(15)
@given(examples())
def test_no_mark_is_believed_by_lava(lava, graph):
    check(graph, lambda graph, inputs: hardware.lava.simulate(graph, inputs, sections=1))
