import pytest
import torch

from qkformer import create_model, record_spikes

PAPER_MILLIONS = {
    # arXiv:2403.16552: tables of ImageNet, CIFAR, neuromorphic data, and of the attention ablation
    "qkformer-10-384": 16.47,
    "qkformer-10-512": 29.08,
    "qkformer-10-768": 64.96,
    "qkformer-cifar100": 6.74,
    "qkformer-cifar10-dvs": 1.50,
    "qkformer-dvs128-paper": 1.50,
    "qkformer-cifar100-qkca-ssa": 6.74,
    "qkformer-cifar100-qkta-qkca": 6.44,
    "qkformer-cifar100-qkca": 6.44,
    "qkformer-cifar100-qkta": 6.44,
    "qkformer-cifar100-ssa": 6.79,
    "qkformer-cifar10-dvs-qkca-ssa": 1.50,
    "qkformer-cifar10-dvs-qkta-qkca": 1.44,
    "qkformer-cifar10-dvs-qkca": 1.44,
    "qkformer-cifar10-dvs-qkta": 1.44,
    "qkformer-cifar10-dvs-ssa": 1.52,
    # arXiv:2209.15425
    "spikformer-8-384": 16.81,
    "spikformer-8-512": 29.68,
    "spikformer-8-768": 66.34,
    "spikformer-2-384": 5.76,
    "spikformer-4-256": 4.15,
    "spikformer-4-384": 9.32,
    "spikformer-cifar10-dvs": 2.57,
}


@pytest.mark.parametrize(("name", "millions"), PAPER_MILLIONS.items())
def test_the_parameters_that_compute_are_as_many_as_the_paper_says(name, millions):
    with torch.device("meta"):
        model = create_model(name)
    used = sum(
        parameter.numel()
        for key, parameter in model.named_parameters()
        if ".norm" not in key and not key.startswith(("norm.", "pos_embed"))
    )
    # The papers round some figures and cut off others.
    assert abs(used / 1e6 - millions) < 0.01


def test_the_released_dvs128_is_larger_than_the_paper_says():
    assert sum(parameter.numel() for parameter in create_model("qkformer-dvs128").parameters()) == 1_999_371


@pytest.mark.parametrize(("name", "neurons"), [("cifar100", 35), ("cifar10-dvs", 21)])
def test_a_parametric_neuron_adds_one_number_per_population(name, neurons):
    counts = [
        sum(parameter.numel() for parameter in create_model(f"qkformer-{name}{kind}").parameters())
        for kind in ("", "-plif", "-if", "-pre-activation")
    ]
    assert [count - counts[0] for count in counts] == [0, neurons, 0, 0]


@torch.no_grad()
@pytest.mark.parametrize(
    "kind",
    ["qkca-ssa", "qkta-qkca", "ssa", "qkca", "qkta", "no-speds", "pre-activation", "if", "plif"],
)
def test_every_ablation_runs_and_its_neurons_spike(kind):
    torch.manual_seed(0)
    model = create_model(f"qkformer-cifar100-{kind}", time_steps=3)
    with record_spikes(model) as trace:
        logits = model(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 100)
    assert logits.isfinite().all()
    neurons = {name: spikes for name, spikes in trace.items() if name.endswith("_lif")}
    assert len(neurons) >= 31
    for name, spikes in neurons.items():
        assert spikes.shape[:2] == (3, 2), name
        assert set(spikes.ravel()) <= {0, 1}, name
    assert any(spikes.any() for name, spikes in neurons.items() if name.startswith("stage3"))


@torch.no_grad()
@pytest.mark.parametrize("name", ["qkformer-cifar10-dvs", "spikformer-cifar10-dvs"])
def test_event_models_take_frames(name):
    torch.manual_seed(0)
    model = create_model(name, time_steps=2).eval()
    frames = torch.poisson(torch.full((2, 2, 2, 128, 128), 0.3))
    assert model(frames).shape == (2, 10)
    with pytest.raises(ValueError, match=r"takes \[B, 2, 2, 128, 128\] with B >= 1; got \[2, 3, 2, 128, 128\]"):
        model(torch.zeros(2, 3, 2, 128, 128))


@torch.no_grad()
@pytest.mark.parametrize("name", ["qkformer-10-384", "spikformer-8-384"])
def test_imagenet_models_take_any_multiple_of_their_stride(name):
    model = create_model(name, time_steps=1).eval()
    assert model.config.image_size == 224
    assert model.config.stride == 16
    for side in (32, 48):
        assert model(torch.randn(1, 3, side, side)).shape == (1, 1000)
    with pytest.raises(ValueError, match=r"\[B, 3, 224, 224\] \(or sides that are other multiples of 16\)"):
        model(torch.randn(1, 3, 225, 224))


@pytest.mark.parametrize("side", [224, 288, 384])
def test_qkformer_10_768_is_offered_at_the_sizes_of_the_paper(side):
    with torch.device("meta"):
        model = create_model("qkformer-10-768", image_size=side)
    assert model.config.image_size == side


def test_pre_activation_fires_before_every_convolution_but_that_of_the_image():
    model = create_model("qkformer-cifar100-pre-activation")
    first = model.patch_embed1.layers()
    assert [(layer.name, layer.lif_first) for layer in first] == [
        ("proj", False),
        ("proj1", True),
        ("proj_res", True),
    ]
    assert first[0].lif is None
    attention = model.stage3[0].attention
    assert attention.layer("proj").lif is None
    assert not attention.layer("q").lif_first
    assert all(layer.lif_first for layer in model.stage3[0].mlp.layers())
    # Nothing that is added up is a spike: the stream carries currents.
    stream = []
    model.stage3[1].register_forward_hook(lambda module, inputs, output: stream.append(output))
    with torch.no_grad():
        model(torch.randn(1, 3, 32, 32))
    assert not torch.equal(stream[0], stream[0].round())


def test_without_the_shortcut_the_patch_embedding_is_a_chain():
    model = create_model("qkformer-cifar100-no-speds")
    assert [layer.name for layer in model.patch_embed2.layers()] == ["proj3", "proj4"]
    assert model.patch_embed2.shortcut is None
