"""The fixed model of the shipped model, and what has none."""

import pytest
import torch

import export
from export import ExportError
from export.network.fixed_layers import FixedLIF, Gate
from export.network.float_layers import FloatConv
from export.network.float_network import FloatNetwork
from export.network.layers import TokenSum
from hardware import Encoding
from hardware.chip import LOIHI_2
from hardware.chip.arithmetic import check_weights, encode_bias
from hardware.errors import InputError
from qkformer import IF, LIF, Neuron, create_model, load_digits, record_spikes
from qkformer.models.layers import Layered


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).double().mean().item()


def test_accuracy_is_within_a_point_of_the_float_model(digits, fixed_digits):
    images, labels = load_digits("test")
    float_accuracy, fixed_accuracy = (accuracy(model, images, labels) for model in (digits, fixed_digits))
    assert float_accuracy >= 0.98
    assert abs(fixed_accuracy - float_accuracy) <= 0.01


def test_populations_are_those_of_the_float_model(digits, fixed_digits):
    images = load_digits("test")[0][:2]
    traces = []
    for model in (digits, fixed_digits):
        with torch.no_grad(), record_spikes(model) as trace:
            model(images)
        traces.append(trace)
    reference, found = traces
    assert set(found) == {*reference, "output"}
    agreements = []
    for name, values in reference.items():
        if not name.endswith("cssa.attn_lif"):  # [.., C, 1, 1] there, given to every token here
            assert found[name].shape == values.shape
        agreements.append((found[name] == values).mean())
    assert min(agreements) > 0.9


def test_every_layer_is_certified(digits, fixed_digits):
    certificate = fixed_digits.certificate
    assert certificate.certified
    layers = [layer for module in digits.modules() if isinstance(module, Layered) for layer in module.layers()]
    assert len(certificate) == len(layers) + 1  # the head
    for layer in certificate:
        name = "output" if layer.name == "head" else layer.name
        module = fixed_digits.get_submodule(name)
        check_weights(name, module.weight.numpy(), LOIHI_2)
        assert layer.largest_weight == module.weight.int().abs().max()
        assert layer.largest_bias == module.bias.abs().max()
        if layer.threshold is not None:
            encode_bias(name, module.bias.numpy(), LOIHI_2)
            assert fixed_digits.get_submodule(layer.population).threshold == layer.threshold


def test_no_input_overflows(fixed_digits):
    """Not the largest one either: certified layers cannot raise."""
    fixed_digits(torch.full((1, 1, 8, 8), 1e9))
    fixed_digits(torch.full((1, 1, 8, 8), -1e9))


def test_float_model_is_left_as_it_is(digits):
    before = {key: tensor.clone() for key, tensor in digits.state_dict().items()}
    export.quantize(digits, load_digits("test")[0][:2])
    assert all(torch.equal(before[key], tensor) for key, tensor in digits.state_dict().items())
    assert not digits.training


def attention_neuron(neuron):
    """What a neuron on a sum of spikes becomes."""
    network = FloatNetwork(Encoding("small", (1, 1, 1), time_steps=4))
    network.add("conv", FloatConv(torch.ones(1, 1, 1, 1), torch.zeros(1), (1, 1), (0, 0)), "input")
    network.add("lif", LIF(), "conv")
    network.add("attn_sum", TokenSum(), "lif")
    network.add("attn_lif", neuron, "attn_sum")
    return export.quantize(network, torch.ones(1, 1, 1, 1)).get_submodule("attn_lif")


@pytest.mark.parametrize(("tau", "v_threshold"), [(2.0, 0.5), (1.0, 1.0), (4.0, 0.25), (2.0, 0.1)])
def test_attention_is_an_or_where_one_spike_suffices(tau, v_threshold):
    gate = attention_neuron(LIF(tau, v_threshold))
    assert isinstance(gate, Gate)
    assert gate.threshold == 0
    _assert_equal(gate, LIF(tau, v_threshold), torch.tensor(_all_sums(4, 6)))


@pytest.mark.parametrize("neuron", [LIF(1.0, 1.5), LIF(1.0, 3.0), IF(v_threshold=1.5), IF(v_threshold=4.0)])
def test_attention_that_stays_a_neuron_is_exact_on_whole_membranes(neuron):
    fixed = attention_neuron(neuron)
    assert isinstance(fixed, FixedLIF)
    _assert_equal(fixed, neuron, torch.tensor(_all_sums(4, 6)))


@pytest.mark.parametrize(("tau", "v_threshold", "threshold"), [(2.0, 0.6, 1), (2.0, 1.0, 1), (4.0, 0.75, 2)])
def test_attention_that_stays_a_neuron_compares_with_integers(tau, v_threshold, threshold):
    """So the first step, on a membrane at rest, is exact; later ones round the threshold down to an integer."""
    neuron = attention_neuron(LIF(tau, v_threshold))
    assert isinstance(neuron, FixedLIF)
    assert (neuron.decay, neuron.threshold) == (4096 / tau, threshold)
    _assert_equal(neuron, LIF(tau, v_threshold), torch.tensor(_all_sums(1, 10)))


def test_attention_without_leak_is_an_or_where_one_spike_suffices():
    assert isinstance(attention_neuron(IF(v_threshold=1.0)), Gate)


def _all_sums(steps, below):
    """Every sequence of sums 0 .. below - 1: [steps, sequences]."""
    return [[number // below**step % below for number in range(below**steps)] for step in range(steps)]


def _assert_equal(fixed, neuron: Neuron, sums):
    """In float64 and with thresholds of few digits, the float neuron computes without error."""
    assert torch.equal(fixed(sums.float()).bool(), neuron(sums.double()).bool())


@pytest.mark.parametrize("key", ["patch_embed1.proj_conv.weight", "stage1.0.mlp.mlp1_bn.running_var", "head.bias"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(refuses, key, value):
    model = create_model("qkformer-digits").eval()
    model.state_dict()[key].view(-1)[0] = -1 if key.endswith("var") else value
    layer = key.replace("_bn", "_conv").rsplit(".", 1)[0]
    with refuses(ExportError, f"{layer}: ", "NaN or infinite"):
        export.quantize(model, torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 1, 8, 8), torch.zeros(0, 1, 8, 8), torch.full((1, 1, 8, 8), torch.nan)]
)
def test_calibration_that_says_nothing(refuses, images):
    with refuses(ExportError, "qkformer-digits", "calibration"):
        export.quantize(create_model("qkformer-digits").eval(), images)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"residual": "pre-activation", "pooling": "current"}, "pre-activation"),
        ({"batch_leak": True}, "batch_leak"),
    ],
)
def test_models_without_an_integer_form(refuses, digits, changes, part):
    model = create_model(digits.config, **changes).eval()
    with refuses(ExportError, "qkformer-digits", part):
        export.quantize(model, torch.ones(1, 1, 8, 8))


def test_calibration_of_another_shape_is_refused(refuses):
    model = create_model("qkformer-digits").eval()
    with refuses(InputError, "qkformer-digits", "8, 8", "8, 7"):
        export.quantize(model, torch.rand(2, 1, 8, 7))
