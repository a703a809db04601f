"""Quantization-aware training: the fixed model's forward, spike for spike, and the float model's backward."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import lively_model, small_config
from torch import nn

import export
from export import ExportError, QuantizationAware
from export.network.stream import Stream
from export.quantization.layer import LayerQuantizer
from export.quantization.neuron import FixedNeuron
from export.quantization.rules import LayerRule
from export.quantization.trained_layers import TrainedConv, TrainedGate, TrainedLIF
from export.sources.live import LiveConv
from hardware import RangeError
from hardware.chip import LOIHI_2
from hardware.errors import InputError
from qkformer import IF, LIF, create_model, load_digits, record_spikes
from qkformer.models.layers import Layered


def recorded(model, images):
    with torch.no_grad(), record_spikes(model) as trace:
        return model(images), trace


def assert_is_the_fixed_model(qat, calibration, images):
    """Every logit, every spike of every population, and what its neurons' gradients take for 1."""
    fixed = export.quantize(qat.model, calibration)
    found, trace = recorded(qat, images)
    wanted, reference = recorded(fixed, images)
    assert torch.equal(found, wanted)
    assert set(trace) == set(reference)
    for name, values in reference.items():
        assert np.array_equal(trace[name], values), name
    for layer in fixed.certificate:
        if layer.name != "head":
            neuron = qat.get_submodule(layer.population)
            assert (neuron.scale, neuron.certified) == (layer.scale, layer.certified), layer.name
    return found, trace


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).double().mean().item()


def train(qat, images, labels, steps, learning_rate):
    """The loss of each step on batches of 32 in a seeded order."""
    optimizer = torch.optim.AdamW(qat.parameters(), learning_rate, weight_decay=0.0)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        batch = torch.randperm(len(images), generator=generator)[:32]
        loss = F.cross_entropy(qat(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


SMALL = {
    "token attention": small_config(attention="token", pooling="spike"),
    "channel attention": small_config(attention="channel", pooling="spike"),
    "self-attention and pooled currents": small_config(attention="self", pooling="current"),
    "three time steps of a slow leak": replace(small_config(attention="channel"), tau=3.0, time_steps=3),
    "no leak": replace(small_config(attention="token", pooling="spike"), neuron="if"),
    "attention that stays a neuron": replace(small_config(attention="channel"), attention_threshold=1.5),
    "linear layers": replace(small_config(pooling="spike"), attention_layer="linear", mlp_layer="conv1d"),
    "events": replace(small_config(attention="channel", pooling="spike"), events=True),
}
SEEDS = {"three time steps of a slow leak": 3, "no leak": 2}  # with which every population spikes, as with 1 elsewhere


def model_and_images(name):
    config = SMALL[name]
    frames = (config.time_steps,) if config.events else ()
    shape = (40, *frames, config.in_channels, config.image_size, config.image_size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    return lively_model(config, SEEDS.get(name, 1)), (3 * images).floor() if config.events else images


@pytest.mark.parametrize("name", SMALL)
def test_equals_the_fixed_model_before_and_after_training(name):
    model, images = model_and_images(name)
    qat = QuantizationAware(model, images).train()
    before, trace = assert_is_the_fixed_model(qat, images, images)
    assert all(spikes.any() for spikes in trace.values())
    train(qat, images, torch.arange(40) % 5, steps=3, learning_rate=0.01)
    for path, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), path
    after, _ = assert_is_the_fixed_model(qat, images, images)
    assert not torch.equal(after, before)


@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_parameter_that_the_float_models_reaches(name):
    model, images = model_and_images(name)
    reached = []
    for module in (model, QuantizationAware(model, images)):
        model.zero_grad()
        F.cross_entropy(module(images), torch.arange(40) % 5).backward()
        reached.append({path for path, parameter in model.named_parameters() if parameter.grad.any()})
    assert reached[0] <= reached[1]
    assert len(reached[0]) > 0.9 * len(list(model.parameters()))


@pytest.mark.long
def test_training_brings_back_what_rounding_has_cost(digits):
    """One channel of each layer silenced by a large bias: the float model hardly sees it, but the bias sets the scale,
    and leaves few of the 127 levels to the weights."""
    images, labels = load_digits("train")
    held_out = load_digits("test")
    model = copy.deepcopy(digits)
    with torch.no_grad():
        for module in model.modules():
            for layer in module.layers() if isinstance(module, Layered) else ():
                layer.bn.bias[0] = -125.0
    assert accuracy(model, *held_out) > 0.95
    assert accuracy(export.quantize(model, images), *held_out) < 0.55
    qat = QuantizationAware(model, images)
    losses = train(qat, images, labels, steps=8, learning_rate=1e-3)
    assert losses[-1] < 0.5 * losses[0]
    assert_is_the_fixed_model(qat, images, images[:32])
    assert accuracy(export.quantize(model, images), *held_out) > 0.75


def test_gradients_are_near_those_of_the_float_model(digits):
    """In direction and in length, for every parameter; they differ by the spikes that rounding turns over."""
    images, labels = load_digits("train")
    images, labels = images[:64], labels[:64]
    model = copy.deepcopy(digits)
    gradients = []
    for module in (model, QuantizationAware(model, images)):
        model.zero_grad()
        F.cross_entropy(module(images), labels).backward()
        gradients.append({name: parameter.grad.flatten().clone() for name, parameter in model.named_parameters()})
    wanted, found = gradients
    for name, gradient in wanted.items():
        assert torch.cosine_similarity(found[name], gradient, dim=0) > 0.6, name
        assert 0.6 < found[name].norm() / gradient.norm() < 1.6, name


@pytest.mark.parametrize(("neuron", "unit"), [(LIF(2.0, 1.0), 8), (LIF(4.0, 0.5), 64), (IF(1.0), 1)])
def test_gradient_of_a_neuron_is_the_float_ones(neuron, unit):
    """On multiples of a number that leaves every membrane whole over four steps, so neither neuron rounds."""
    scale = 2.0**-7
    currents = unit * torch.randint(-128 // unit, 384 // unit, (4, 50), generator=torch.Generator().manual_seed(0))
    currents = currents.double()
    fixed = TrainedLIF(neuron, FixedNeuron.of(neuron, scale, LOIHI_2), scale, "lif", LOIHI_2)
    outputs = []
    for module, unit_of_input in ((neuron, scale), (fixed, 1.0)):
        x = currents.clone().requires_grad_()
        spikes = module(x * unit_of_input)
        spikes.backward(torch.linspace(-1, 1, spikes.numel(), dtype=torch.float64).view_as(spikes))
        outputs.append((spikes, x.grad))
    (wanted, wanted_gradient), (found, gradient) = outputs
    assert torch.equal(found, wanted)
    assert 0.1 < found.mean() < 0.9
    torch.testing.assert_close(gradient, wanted_gradient)


@pytest.mark.parametrize("neuron", [LIF(2.0, 0.5), LIF(4.0, 0.25), IF(1.0)])
def test_gradient_of_a_gate_is_that_of_the_neuron_it_stands_for(neuron):
    sums = torch.randint(0, 4, (4, 50), generator=torch.Generator().manual_seed(0)).double()
    outputs = []
    for module in (neuron, TrainedGate(neuron, 0)):
        x = sums.clone().requires_grad_()
        spikes = module(x)
        spikes.backward(torch.linspace(-1, 1, spikes.numel(), dtype=torch.float64).view_as(spikes))
        outputs.append((spikes, x.grad))
    (wanted, wanted_gradient), (found, gradient) = outputs
    assert torch.equal(found, wanted)
    torch.testing.assert_close(gradient, wanted_gradient)


def test_gradient_of_a_convolution_is_that_of_float_convolution_and_batch_norm():
    """To its weights exactly: x does not depend on them, and rounding counts as the identity."""
    torch.manual_seed(0)
    owner = Layered(small_config())
    owner.add_layer("proj", 3, 4, kernel=3, bias=True)
    layer = owner.double().eval().layer("proj")
    nn.init.normal_(layer.bn.running_mean)
    nn.init.uniform_(layer.bn.running_var, 0.5, 2.0)
    published = []
    stream = Stream(("input",), 1 / 127, -127, 127)
    quantizer = LayerQuantizer("conv", "lif", layer.lif, stream, time_steps=4, compared=False, chip=LOIHI_2)
    conv = TrainedConv(LayerRule(LiveConv(layer), None, "", quantizer), published.append)
    x = torch.randint(-127, 128, (2, 3, 3, 6, 5)).double()
    upstream = torch.randn(2, 3, 4, 6, 5, dtype=torch.float64)
    wanted = layer.bn(layer.conv(x.flatten(0, 1) / 127)).unflatten(0, (2, 3))
    wanted_gradients = torch.autograd.grad(wanted, list(owner.parameters()), upstream)
    sums = conv(x)
    scale = published[0].certificate.scale
    assert torch.equal(sums, sums.round())
    assert 0 < (sums * scale - wanted).abs().max() < 0.1
    for found, gradient in zip(
        torch.autograd.grad(sums * scale, list(owner.parameters()), upstream), wanted_gradients, strict=True
    ):
        torch.testing.assert_close(found, gradient)


def test_parameters_are_the_float_models_and_its_statistics_stay(digits):
    images, labels = load_digits("train")
    model = copy.deepcopy(digits)
    qat = QuantizationAware(model, images).train()
    assert [id(parameter) for parameter in qat.parameters()] == [id(parameter) for parameter in model.parameters()]
    assert list(qat.state_dict()) == [f"model.{key}" for key in model.state_dict()]
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    train(qat, images, labels, steps=1, learning_rate=1e-3)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_mode_changes_nothing_and_a_copy_is_on_its_own(digits):
    images = load_digits("train")[0]
    qat = QuantizationAware(copy.deepcopy(digits), images)
    other = copy.deepcopy(qat)
    with torch.no_grad():
        wanted = qat.train()(images[:4])
        assert torch.equal(qat.eval()(images[:4]), wanted)
        for parameter in other.parameters():
            parameter.mul_(1.5)
        assert torch.equal(qat(images[:4]), wanted)
    assert_is_the_fixed_model(other, images, images[:4])


def test_autocast_changes_nothing(digits):
    images = load_digits("train")[0]
    qat = QuantizationAware(digits, images)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            found = qat(images[:16])
        assert torch.equal(found, qat(images[:16]))


@pytest.mark.parametrize("events", [False, True])
def test_encoding_is_that_of_the_fixed_model(events):
    """Halves to the even neighbour, and no further than 127."""
    config = replace(small_config(pooling="spike"), events=events)
    frames = (config.time_steps,) if events else ()
    images = torch.randint(-600, 600, (50, *frames, 2, 6, 6), generator=torch.Generator().manual_seed(0)) / 4
    qat = QuantizationAware(lively_model(config), torch.full((1, *frames, 2, 6, 6), 127.0))
    assert ((images % 1 == 0.5) & (images.abs() < 127)).any()
    assert np.array_equal(qat.encode(images).numpy(), qat.encoding.encode(images))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_images_that_are_not_finite(refuses, digits, value):
    qat = QuantizationAware(digits, torch.ones(1, 1, 8, 8))
    with refuses(InputError, "qkformer-digits", "NaN or infinite"):
        qat(torch.full((1, 1, 8, 8), value))


def test_images_of_another_size_than_the_calibration(refuses):
    model = lively_model(replace(small_config(pooling="spike"), fixed_size=False))
    qat = QuantizationAware(model, torch.ones(1, 2, 6, 6))
    with refuses(InputError, "small", "[B, 2, 6, 6]", "[1, 2, 8, 8]"):
        qat(torch.ones(1, 2, 8, 8))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"residual": "pre-activation", "pooling": "current"}, "pre-activation"),
        ({"batch_leak": True}, "batch_leak"),
        ({"neuron": "plif"}, "plif"),
    ],
)
def test_models_that_are_not_trained_so(refuses, digits, changes, part):
    with refuses(ExportError, "qkformer-digits", part):
        QuantizationAware(create_model(digits.config, **changes), torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize("key", ["stage1.0.mlp.mlp1_bn.weight", "head.bias"])
def test_weights_that_become_nan(refuses, digits, key):
    qat = QuantizationAware(copy.deepcopy(digits), torch.ones(1, 1, 8, 8))
    qat.model.state_dict()[key][0] = torch.nan
    module = key.replace("_bn", "_conv").rsplit(".", 1)[0]
    with refuses(ExportError, f"{module}: ", "NaN or infinite"):
        qat(torch.ones(1, 1, 8, 8))


def test_layer_that_overflows_is_refused_as_in_the_fixed_model(refuses):
    """A layer that is not certified is checked as it runs."""
    lif = TrainedLIF(IF(1.0), FixedNeuron(0, 131071), 1.0, "stage1.q_lif", LOIHI_2)
    currents = torch.full((2, 1), -65536.0, requires_grad=True)
    with refuses(RangeError, "stage1.q_lif: ", "time step 1 reaches 131072"):
        lif(currents)
    assert not lif(currents + 1).any()
