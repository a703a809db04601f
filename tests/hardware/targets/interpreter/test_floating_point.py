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


def naive(inputs, rate, gain, threshold, leak, reset):
    """Spikes [T] of one neuron: v starts at the reset."""
    v, spikes = reset, []
    for x in inputs:
        v += rate * (leak - v) + gain * x
        spikes.append(int(v > threshold))
        v = reset if spikes[-1] else v
    return spikes


@pytest.mark.parametrize("leaks", [True, False])
def test_any_leak_and_reset_and_neurons_that_differ(leaks):
    tau, r, v_leak = np.array([3.3e-4, 1e-3, 2e-4]), np.array([1.5, 4.0, 1.0]), np.array([0.3, 1.2, -0.5])
    level, reset = np.array([1.0, 0.9, 0.7]), np.array([-0.2, 0.0, 0.4])
    node = nir.LIF(tau, r, v_leak, level, reset) if leaks else nir.IF(r / TIME_STEP / 7, level, reset)
    rates, gains = (TIME_STEP / tau, r * TIME_STEP / tau) if leaks else (np.zeros(3), r / 7)
    inputs = np.random.default_rng(4).random((60, 2, 3)) * 2
    found = hardware.interpret_float(chain([3], node), inputs)["node0"]
    for b, n in np.ndindex(2, 3):
        assert found[:, b, n].tolist() == naive(inputs[:, b, n], rates[n], gains[n], level[n], v_leak[n], reset[n])
    assert (found.sum((0, 1)) > 5).all()


@pytest.mark.long
def test_lava_has_them_too(lava):
    """Lava's membrane starts at 0 and is reset to 0: the level of the reset is shifted there."""
    node = nir.LIF(*(np.array(x) for x in ([4e-4, 2e-4], [1.5, 1.0], [0.5, -0.5], [1.0, 0.75], [-0.25, 0.5])))
    inputs = np.random.default_rng(4).random((60, 2, 2)) * 2
    found = hardware.lava.simulate(chain([2], node), inputs, bit_accurate=False)
    assert (found["node0"] == hardware.interpret_float(chain([2], node), inputs)["node0"]).all()
