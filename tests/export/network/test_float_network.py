"""The float network: as the float model, and quantized as it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import lively_model, small_config

import export
from export import FloatNetwork
from hardware.errors import InputError
from qkformer import Neuron, load_digits, record_spikes


def traced(network, images):
    with torch.no_grad(), record_spikes(network) as trace:
        return network(images), trace


@pytest.mark.parametrize("attention", ["self", "channel"])
@pytest.mark.parametrize("pooling", ["current", "spike"])
def test_computes_what_the_model_does(attention, pooling):
    model = lively_model(small_config(attention=attention, pooling=pooling))
    images = torch.rand(3, 2, 6, 6, generator=torch.manual_seed(3))
    network = export.fold_model(model)
    assert isinstance(network, FloatNetwork)
    (found, trace), (wanted, reference) = traced(network, images), traced(model.double(), images.double())
    torch.testing.assert_close(found, wanted.float())
    assert set(trace) == set(reference)
    for name, spikes in reference.items():
        assert (trace[name] == spikes).all(), name


@pytest.mark.parametrize("events", [False, True])
def test_is_quantized_as_its_model(events):
    config = replace(small_config(attention="self"), events=events)
    frames = (config.time_steps,) if events else ()
    images = torch.rand(5, *frames, 2, 6, 6, generator=torch.manual_seed(3)).mul(3).floor()
    model = lively_model(config)
    wanted, found = (export.quantize(source, images) for source in (model, export.fold_model(model)))
    assert found.certificate == wanted.certificate
    assert found.encoding == wanted.encoding
    assert found.nodes == wanted.nodes
    (logits, trace), (expected, reference) = traced(found, images), traced(wanted, images)
    assert torch.equal(logits, expected)
    assert all(np.array_equal(trace[name], spikes) for name, spikes in reference.items())


def test_quantizing_leaves_it_as_it_is(digits):
    images = load_digits("train")[0][:8]
    network = export.fold_model(digits)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    logits = network(images)
    export.quantize(network, images)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network(images), logits)


def test_calibration_of_another_shape_is_refused(digits, refuses):
    with refuses(InputError, "qkformer-digits", "[B, 1, 8, 8]", "[2, 1, 8, 7]"):
        export.quantize(export.fold_model(digits), torch.rand(2, 1, 8, 7))


@pytest.mark.parametrize(("threshold", "gate"), [(0.5, True), (0.6, False)])
def test_attention_stays_a_neuron_and_is_lowered_to_a_gate_where_one_spike_suffices(threshold, gate):
    model = lively_model(replace(small_config(attention="channel", pooling="spike"), attention_threshold=threshold))
    network = export.fold_model(model)
    name = "stage2.0.ssa.attn_lif"
    assert isinstance(network.get_submodule(name), Neuron)
    for lowered in (network, export.quantize(model, torch.ones(1, 2, 6, 6))):
        forgets = export.to_nir(lowered).nodes[name].tau < 1.001e-4
        assert forgets.all() if gate else not forgets.any()


@pytest.mark.parametrize("fixed", [False, True])
def test_an_image_is_convolved_once(digits, fixed_digits, fixed, monkeypatch):
    """Not once a time step."""
    network, calls = fixed_digits if fixed else export.fold_model(digits), []
    right = F.conv2d

    def counted(images, *arguments):
        calls.append(len(images))
        return right(images, *arguments)

    monkeypatch.setattr(F, "conv2d", counted)
    network(load_digits("test")[0][:3])
    assert calls[0] == 3
    assert set(calls[1:]) <= {3, 12}
    assert calls[1] == 12
