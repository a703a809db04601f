"""Any tool's NIR graph as a float network: what NIR says it is, by a naive evaluator; and what has no meaning."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from amount import random_examples
from hypothesis import given
from naive_nir import evaluate
from random_float_graphs import random_float_graphs
from run_sections import run_sections

import export
import hardware
from hardware.errors import GraphError
from hardware.graph.flat import at_rest
from qkformer import record_spikes

DENSE = nir.Affine(np.array([[1.0, -0.5], [0.25, 2.0]]), np.array([0.1, -0.1]))


def lif(shape=(2,), **parameters):
    values = {"tau": 2e-4, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0} | parameters
    return nir.LIF(**{name: np.full(shape, value) for name, value in values.items()})


def graph_of(nodes, edges, shape=(2,), outputs=(2,)):
    ends = {"in": nir.Input({"input": np.array(shape)}), "out": nir.Output({"output": np.array(outputs)})}
    return nir.NIRGraph(ends | nodes, edges, type_check=False)


def chain(*nodes, shape=(2,), outputs=(2,)):
    names = [f"n{i}" for i in range(len(nodes))]
    path = ["in", *names, "out"]
    return graph_of(dict(zip(names, nodes, strict=True)), list(pairwise(path)), shape, outputs)


@random_examples(150)
@given(example=random_float_graphs())
def test_a_random_graph_means_what_nir_says(example):
    graph, inputs, time_step = example
    expected = evaluate(graph, inputs, time_step)
    network = export.from_nir(graph, time_step=time_step)
    with record_spikes(network) as trace:
        shown = network.run(inputs)
    np.testing.assert_allclose(shown.numpy(), expected.pop("out"), rtol=1e-9, atol=1e-12)
    assert set(trace) - {"output"} == set(expected)
    for name, spikes in expected.items():
        np.testing.assert_array_equal(trace[name], spikes)


@random_examples(100, 25)
@given(example=random_float_graphs())
def test_a_random_graph_in_integers_is_one_network_in_pytorch_nir_and_sections(tmp_path_factory, example):
    graph, inputs, time_step = example
    fixed = export.quantize(export.from_nir(graph, time_step=time_step), inputs)
    with record_spikes(fixed) as trace:
        fixed(inputs)
    lowered, encoded = export.to_nir(fixed), fixed.encode(inputs)
    found = hardware.interpret(lowered, encoded)
    assert list(found) == list(trace)
    for name, spikes in found.items():
        np.testing.assert_array_equal(trace[name], spikes)
    sections = run_sections(lowered, encoded, 2, tmp_path_factory.mktemp("records"))
    sections["output"] = sections["output"] + at_rest(hardware.flatten(lowered))["output"].astype(np.int32)
    assert hardware.compare(found, sections).mismatches == 0
    assert hardware.compare(found, hardware.targets()["onnx"].run(lowered, encoded, threads=1)).mismatches == 0


@pytest.mark.long
@random_examples(20, short=3)
@given(example=random_float_graphs())
def test_a_random_graph_in_integers_runs_in_lava(lava, example):
    graph, inputs, time_step = example
    fixed = export.quantize(export.from_nir(graph, time_step=time_step), inputs)
    lowered, encoded = export.to_nir(fixed), fixed.encode(inputs)
    found = hardware.lava.simulate(lowered, encoded, sections=0)
    assert hardware.compare(hardware.interpret(lowered, encoded), found).mismatches == 0


def test_an_integrator_without_a_time_step_is_asked_about():
    graph = chain(DENSE, nir.IF(r=np.ones(2), v_threshold=np.ones(2), v_reset=np.zeros(2)))
    with pytest.raises(export.ExportError, match=r"node 'n1' has r = 1.*\(--unit-gain\)"):
        export.from_nir(graph)
    inputs = np.ones((4, 1, 2))
    expected = evaluate(graph, inputs, 1e-4, unit_gain=True)["out"]
    assert expected.any()
    with record_spikes(network := export.from_nir(graph, unit_gain=True)) as trace:
        network(inputs)
    np.testing.assert_array_equal(trace["output"], expected)


def test_one_value_holds_for_all_neurons():
    graph = chain(DENSE, lif(shape=()))
    assert export.from_nir(graph).shapes()["n1"] == (2,)


def test_a_batch_that_a_tool_left_in_is_dropped():
    assert export.from_nir(chain(DENSE, lif((1, 2)), shape=(1, 2), outputs=(1, 2))).encoding.input_shape == (2,)


def test_an_input_without_a_shape_has_what_its_reader_needs():
    graph = chain(DENSE, lif())
    graph.nodes["in"].input_type = {"input": None}
    assert export.from_nir(graph).encoding.input_shape == (2,)


def test_names_that_modules_have_are_no_trouble():
    nodes = {"run": DENSE, "input": lif(), "encoding": nir.Linear(np.eye(2)), "output": lif()}
    path = ["in", "run", "input", "encoding", "output", "out"]
    network = export.from_nir(graph_of(nodes, list(pairwise(path))))
    with record_spikes(network) as trace:
        network(np.ones((3, 1, 2)))
    assert len(trace) == 3


WRONG = {
    "a cycle without a neuron": (
        graph_of({"a": DENSE, "b": DENSE}, [("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")]),
        r"cycle, [ab] -> .*without a population",
    ),
    "a cycle through two neurons": (
        graph_of(
            {"a": lif(), "w": DENSE, "b": lif(), "v": DENSE},
            [("in", "a"), ("a", "w"), ("w", "b"), ("b", "v"), ("v", "a"), ("b", "out")],
        ),
        "with 2 populations, ",
    ),
    "a neuron that feeds itself at once": (
        graph_of({"a": lif()}, [("in", "a"), ("a", "a"), ("a", "out")]),
        "a -> a, without a synapse",
    ),
    "tau of 0": (chain(DENSE, lif(tau=0.0)), "'n1': tau is 0"),
    "tau below the time step": (chain(DENSE, lif(tau=1e-5)), "'n1': tau is 1e-05 s, less than the time step"),
    "a weight that is NaN": (chain(nir.Linear(np.array([[np.nan, 1.0], [0, 1]])), lif()), "'n0'.*NaN"),
    "complex weights": (chain(nir.Linear(np.eye(2) * 1j), lif()), "'n0': weight is of type complex"),
    "a threshold that is NaN": (chain(DENSE, lif(v_threshold=np.nan)), "'n1': v_threshold is nan"),
    "r of 0": (chain(DENSE, lif(r=0.0)), "'n1': r is 0"),
    "parameters of another shape": (chain(DENSE, lif((3,), r=2.0, tau=1e-3)), "'n1'"),
    "no output": (nir.NIRGraph({"in": nir.Input({"input": np.array([2])})}, [], type_check=False), "0 Output nodes"),
    "a node without a source": (graph_of({"a": lif()}, [("in", "out")]), "'a' has no input edge"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_has_no_meaning_is_one_line(wrong):
    graph, line = WRONG[wrong]
    with pytest.raises((export.ExportError, GraphError), match=line) as raised:
        export.from_nir(graph)
    assert "\n" not in str(raised.value)


def test_an_unknown_node_is_named():
    class Exotic(nir.NIRNode):
        input_type = output_type = {}  # noqa: RUF012 - as NIR's own

        def __init__(self):
            self.metadata = {}

    graph = chain(DENSE, lif())
    graph.nodes["n1"] = Exotic()
    with pytest.raises(export.ExportError, match="'n1' is a Exotic"):
        export.from_nir(graph)


@pytest.mark.parametrize("time_step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_step_is_a_time(time_step):
    with pytest.raises(export.ExportError, match="time_step is"):
        export.from_nir(chain(DENSE, lif()), time_step=time_step)


def test_a_layer_that_a_tool_has_no_node_for():
    graph = chain(DENSE, lif())
    graph.nodes["n1"] = None  # as nirtorch leaves it
    with pytest.raises(
        export.ExportError, match=r"^node 'n1' is nothing: the tool that made the graph has no NIR node"
    ):
        export.from_nir(graph)


def test_a_time_step_beyond_a_time_constant():
    with pytest.raises(export.ExportError, match=r"^node 'n1': tau is 0.0002 s, less than the time step of 0.001 s"):
        export.from_nir(chain(DENSE, lif()), time_step=1e-3)
