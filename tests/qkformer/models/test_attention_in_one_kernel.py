"""Q-K attention by one kernel computes what its modules compute."""

import importlib.util

import pytest
import torch

from qkformer import PLIF, create_model, get_config, record_spikes
from qkformer.kernels import KernelError, set_backend
from qkformer.kernels.qk_attention_operator import MAX_STEPS
from qkformer.models import attention as attention_module
from qkformer.models.attention import QKAttention
from qkformer.models.config import EmbedLayer, PatchEmbedConfig, StageConfig

CHANNELS, STEPS = 6, 3


@pytest.fixture
def device():
    if importlib.util.find_spec("triton") is None:
        pytest.skip('Triton is not installed: uv pip install -e ".[train]"')
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def kernel_calls(monkeypatch):
    """The Q-K attentions computed by one operation, by kind."""
    calls = []
    for kind in ("token", "channel"):
        operation = getattr(attention_module, f"{kind}_attention")

        def counted(*arguments, kind=kind, operation=operation, **constants):
            calls.append(kind)
            assert constants["backend"] == "triton"
            return operation(*arguments, **constants)

        monkeypatch.setattr(attention_module, f"{kind}_attention", counted)
    return calls


def small_model(device, **overrides):
    """Token attention on 4 x 4 tokens, then channel attention on 2 x 2."""
    first = PatchEmbedConfig((EmbedLayer("proj", CHANNELS),))
    second = PatchEmbedConfig((EmbedLayer("proj3", CHANNELS, "proj3_maxpool"),))
    stages = (
        StageConfig(first, CHANNELS, 1, 2, "token", "tssa", 1),
        StageConfig(second, CHANNELS, 1, 2, "channel", "cssa", 1),
    )
    options = {"stages": stages, "image_size": 4, "time_steps": STEPS, "num_classes": 3, "pooling": "current"}
    torch.manual_seed(5)
    model = create_model(get_config("qkformer-digits").replace(**{**options, **overrides}))
    for name, parameter in model.named_parameters():
        if "bn" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.to(device)


def images(device, batch=2):
    torch.manual_seed(6)
    return torch.randn(batch, 1, 4, 4, device=device)


def logits_and_gradients(model, backend, device):
    set_backend(model, backend)
    model.zero_grad()
    logits = model(images(device))
    (logits * torch.tensor([1.0, -2.0, 3.0], device=device)).sum().backward()
    return logits.detach(), {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def trace_of(model, device):
    with record_spikes(model) as trace:
        logits = model(images(device)).detach()
    return logits, dict(trace)


@pytest.mark.parametrize(
    "overrides", [{}, {"neuron": "if"}, {"tau": 1.5, "attention_threshold": 1.0}, {"residual": "pre-activation"}]
)
def test_training_is_the_same(device, kernel_calls, overrides):
    model = small_model(device, **overrides)
    logits, gradients = logits_and_gradients(model, "triton", device)
    assert kernel_calls == ["token", "channel"]
    expected, expected_gradients = logits_and_gradients(model, "torch", device)
    assert torch.equal(logits, expected)
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5, msg=name)
    assert all(gradients[f"stage{n}.0.{part}_conv.weight"].any() for n, part in ((1, "tssa.q"), (2, "cssa.k")))


@pytest.mark.parametrize("training", [True, False])
def test_what_is_recorded_is_what_is_computed(device, kernel_calls, training):
    model = small_model(device).train(training)
    with torch.set_grad_enabled(training):
        set_backend(model, "triton")
        logits = model(images(device)).detach()
        assert len(kernel_calls) == (2 if training else 0)  # without gradients BatchNorm and neuron are one kernel
        recorded, trace = trace_of(model, device)
        assert len(kernel_calls) == (2 if training else 0)
        set_backend(model, "torch")
        _, expected = trace_of(model, device)
    assert torch.equal(logits, recorded)
    assert {f"stage{n}.0.{part}" for n, part in ((1, "tssa.q_lif"), (2, "cssa.mask"))} < trace.keys() == expected.keys()
    if training:
        assert all((trace[name] == expected[name]).all() for name in trace)
        assert 0 < trace["stage1.0.tssa.attn_lif"].mean() < 1


def attentions(model):
    return [module for module in model.modules() if isinstance(module, QKAttention)]


def test_only_what_one_kernel_can_compute_is_given_to_it(device):
    model = small_model(device)
    set_backend(model, "triton")
    spikes = torch.ones(STEPS, 1, CHANNELS, 2, 2, device=device)
    for module in attentions(model):
        assert module.in_one_kernel(spikes)
        assert not module.in_one_kernel(spikes[:1].expand(MAX_STEPS + 1, -1, -1, -1, -1))
        for name in ("q_lif", "attn_lif", "k_lif", "mask"):
            population = getattr(module, name)
            for register in (
                population.register_forward_hook,
                population.register_forward_pre_hook,
                population.register_full_backward_hook,
                population.register_full_backward_pre_hook,
            ):
                hook = register(lambda *_: None)
                assert not module.in_one_kernel(spikes)
                hook.remove()
        changes = [("q_lif", "tau", 3.0), ("attn_lif", "tau", 3.0), ("k_lif", "v_threshold", 2.0)]
        changes += [("k_lif", "batch_leak", True), ("attn_lif", "backend", "torch")]
        for name, attribute, value in changes:
            neuron = getattr(module, name)
            before = getattr(neuron, attribute)
            setattr(neuron, attribute, value)
            assert not module.in_one_kernel(spikes)
            setattr(neuron, attribute, before)
        assert module.in_one_kernel(spikes)
        module.k_lif = PLIF(2.0)
        assert not module.in_one_kernel(spikes)


def test_modules_count_in_halves_as_the_kernel_does(device):
    """257 spikes are 256 in bfloat16."""
    token, channel = attentions(small_model(device))
    token.heads = 1
    for module, shape in ((token, (1, 1, 257, 1, 1)), (channel, (1, 1, 1, 1, 257))):
        spikes = torch.ones(shape, dtype=torch.bfloat16, device=device)
        for threshold, passes in ((128.5, True), (128.75, False)):  # half of 257 arrives
            module.attn_lif.v_threshold = threshold
            mixed = module.mix(spikes, spikes)
            computed = module.mix_currents(spikes * 2, spikes * 2, attention_threshold=threshold, backend="triton")
            assert mixed.dtype == computed.dtype == torch.bfloat16
            assert torch.equal(mixed, computed)
            assert mixed.any() == passes


def test_a_neuron_changed_alone_is_computed_as_changed(device):
    model = small_model(device)
    for module in attentions(model):
        module.k_lif.v_threshold = 0.5
    logits, _ = logits_and_gradients(model, "triton", device)
    assert torch.equal(logits, logits_and_gradients(model, "torch", device)[0])


def test_without_a_gpu_pytorch_computes_unless_told_otherwise(kernel_calls, refuses):
    model = small_model("cpu")
    model(images("cpu"))
    assert kernel_calls == []
    model = model.double()
    set_backend(model, "triton")
    with refuses(KernelError, "float64"):
        model(images("cpu").double())


def test_no_query_key_or_attention_neuron_leaks_between_samples():
    for module in attentions(create_model("qkformer-cifar10", batch_leak=True)):
        assert not any(neuron.batch_leak for neuron in (module.q_lif, module.k_lif, module.attn_lif))
