"""Float networks: the interpreter, the float model and Lava's floating-point models agree."""

import nir
import numpy as np
import pytest
import torch
from published import lively_model, small_config
from small_graphs import chain

import hardware
from export import ExportError, fold_model, to_nir
from hardware import GraphError
from hardware.graph.neuron import TIME_STEP
from hardware.graph.nodes import spiking
from qkformer import IF, LIF, record_spikes


@pytest.fixture(scope="module")
def network():
    """A float model, its folded model, the graph of that, and images."""
    model = lively_model(small_config(attention="channel", pooling="spike"))
    folded = fold_model(model)
    return model, folded, to_nir(folded), torch.randn(3, 2, 6, 6, generator=torch.manual_seed(2))


def test_interpreter_agrees_with_the_float_model(network):
    model, folded, graph, images = network
    with torch.no_grad(), record_spikes(model.double()) as reference:
        logits = model(images.double())
    model.float()
    trace = hardware.interpret_float(graph, folded.encode(images))
    assert sum(int(spikes.sum()) for spikes in reference.values()) > 1000
    for name, spikes in reference.items():
        assert np.array_equal(np.broadcast_to(spikes, trace[name].shape), trace[name]), name
    assert np.abs(folded.encoding.logits(trace["output"]) - logits.numpy()).max() < 1e-12


@pytest.mark.long
def test_lava_agrees_and_flips_carry_their_margin(network, lava):
    _, folded, graph, images = network
    inputs = folded.encode(images)
    trace = hardware.lava.simulate(graph, inputs, bit_accurate=False)
    exact = hardware.interpret_float(graph, inputs)
    assert {name: values.shape for name, values in trace.items()} == {n: v.shape for n, v in exact.items()}
    assert all(margin.max() < 1e-9 for margin in hardware.flip_margins(graph, inputs, trace).values())
    assert np.abs(trace["output"] - exact["output"]).max() < 1e-9


def test_flip_margins_are_the_distances_to_the_threshold():
    graph = chain((1,), nir.LIF(*(np.array([x]) for x in (2e-4, 1.0, 0.0, 1.0, 0.0))))
    inputs = np.array([1.0, 1.9, 5.0]).reshape(3, 1, 1)  # membranes 0.5, 1.2 (spike), 2.5 (spike)
    trace = hardware.interpret_float(graph, inputs)
    (name,) = (n for n in trace if n != "output")
    assert trace[name].tolist() == [[[0]], [[1]], [[1]]]
    assert hardware.flip_margins(graph, inputs, trace) == {}
    trace[name][1] = 0
    assert hardware.flip_margins(graph, inputs, trace)[name] == pytest.approx([0.2])


@pytest.mark.parametrize("neuron", [LIF(2.0, 1.0), LIF(3.0, 0.7), IF()])
def test_exported_neuron_fires_at_its_threshold_as_the_float_one_does(neuron):
    from export.lower.graph import _float_lif
    from export.network.node_network import Node
    from hardware.graph.gates.primitives import GraphBuilder

    builder = GraphBuilder()
    _float_lif(builder, Node("lif", (("x",),)), neuron, {"lif": (4,)})
    at_threshold = neuron.v_threshold / neuron.input_gain
    currents = torch.tensor([at_threshold, np.nextafter(at_threshold, 0), 0.0, 2 * at_threshold]).double().view(1, 1, 4)
    spikes, _ = (
        spiking("lif", builder.nodes["lif"]).floating("lif", builder.nodes["lif"], TIME_STEP).run(currents.numpy())
    )
    assert np.array_equal(spikes, neuron(currents).numpy())
    assert spikes.sum() >= 2


@pytest.mark.parametrize(("attention", "pooling"), [("self", "spike"), ("channel", "current")])
def test_what_needs_whole_numbers_is_refused(attention, pooling, refuses):
    folded = fold_model(lively_model(small_config(attention=attention, pooling=pooling)))
    with refuses(ExportError, "small", "attn_product" if attention == "self" else "proj4_maxpool", "quantize"):
        to_nir(folded)


def test_numbers_that_are_none_are_refused(refuses):
    graph = chain((1,), nir.Linear(np.array([[np.nan]])))
    with refuses(GraphError, "NaN"):
        hardware.interpret_float(graph, np.zeros((1, 1, 1)))


def test_resets_elsewhere_than_at_0_are_refused(refuses):
    graph = chain((1,), nir.LIF(*(np.array([x]) for x in (2e-4, 1.0, 0.0, 1.0, 0.5))))
    with refuses(GraphError, "v_reset"):
        hardware.interpret_float(graph, np.zeros((1, 1, 1)))
