import subprocess
import sys

import pytest
import torch

from hardware.errors import NotAvailableError
from qkformer import IF, LIF, PLIF, create_model, record_spikes
from qkformer.kernels import BACKENDS, KernelError, backend, describe_backend, lif, resolve_backend, set_backend

WITHOUT_TRITON = """
import sys
sys.modules["triton"] = None
import torch, qkformer.kernels as kernels
print(kernels.lif(torch.full((2, 1), 2.0)).flatten().tolist(), kernels.describe_backend("auto", torch.zeros(1)))
try:
    kernels.lif(torch.zeros(2, 1), backend="triton")
except ImportError as error:
    print(error)
"""


def on_gpu(dtype=torch.float32):
    """What `resolve_backend` looks at, for a tensor on a GPU."""
    return type("Tensor", (), {"is_cuda": True, "dtype": dtype, "device": torch.device("cuda", 0)})()


@pytest.fixture
def compiled(monkeypatch):
    """Triton as it is without its interpreter."""
    monkeypatch.setattr(backend, "INSTALLED", True)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def test_auto_is_triton_on_a_gpu(compiled, monkeypatch):
    assert resolve_backend("auto", torch.zeros(1)) == "torch"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert resolve_backend("auto", on_gpu(dtype)) == resolve_backend("triton", on_gpu(dtype)) == "triton"
    assert resolve_backend("auto", on_gpu(torch.float64)) == "torch"
    assert resolve_backend("torch", on_gpu()) == "torch"
    monkeypatch.setattr(backend, "INSTALLED", False)
    assert resolve_backend("auto", on_gpu()) == "torch"


def test_auto_never_runs_the_interpreter(compiled, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert resolve_backend("auto", torch.zeros(1)) == "torch"
    assert resolve_backend("triton", torch.zeros(1)) == "triton"


def test_triton_is_never_replaced(compiled, monkeypatch, refuses):
    with refuses(KernelError, "needs a CUDA device", "cpu", '"torch"', "TRITON_INTERPRET=1"):
        lif(torch.zeros(2, 3), backend="triton")
    with refuses(KernelError, "float32, bfloat16, float16", "torch.float64", '"torch"'):
        resolve_backend("triton", on_gpu(torch.float64))
    monkeypatch.setattr(backend, "INSTALLED", False)
    with refuses(NotAvailableError, "Triton is not installed", 'pip install -e ".[train]"', '"torch"'):
        resolve_backend("triton", on_gpu())


@pytest.mark.parametrize("call", [lambda: LIF(backend="cuda"), lambda: create_model("qkformer-digits", backend="cuda")])
def test_other_backends_are_refused(refuses, call):
    with refuses(KernelError, "'cuda'", ", ".join(BACKENDS)):
        call()


def test_the_backend_is_reported(device):
    import triton

    x = torch.zeros(1, device=device)
    where = torch.cuda.get_device_name(device) if x.is_cuda else "Triton's interpreter, on the CPU"
    assert describe_backend("triton", x) == f"triton {triton.__version__} on {where}"
    assert describe_backend("auto", torch.zeros(1)) == "plain PyTorch on the CPU"


def test_everything_but_the_kernels_works_without_triton():
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TRITON]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spikes, error = done.stdout.splitlines()
    assert spikes == "[1.0, 1.0] plain PyTorch on the CPU"
    assert error.startswith("Triton is not installed: run ")


def test_set_backend_reaches_every_neuron():
    model = create_model("qkformer-digits")
    neurons = [module for module in model.modules() if isinstance(module, LIF)]
    assert {neuron.backend for neuron in neurons} == {"auto"}
    set_backend(model, "torch")
    assert {neuron.backend for neuron in neurons} == {"torch"}
    assert len(neurons) > 10


def test_plif_has_no_kernel(refuses):
    with refuses(KernelError, "PLIF has no Triton kernel", '"torch"'):
        PLIF(backend="triton")(torch.zeros(2, 1, 3))
    assert PLIF()(torch.full((2, 1, 3), 2.0)).all()


@pytest.mark.parametrize("kind", [LIF, IF])
def test_a_leaking_batch_leaks_alike(device, kind):
    x = torch.randn(4, 5, 3, 2, generator=torch.Generator().manual_seed(0)).to(device) + 0.3
    expected, found = (kind(batch_leak=True, backend=chosen)(x) for chosen in ("torch", "triton"))
    assert torch.equal(found, expected)
    assert not torch.equal(found, kind(backend="triton")(x))


def trained(model, images, chosen):
    """Spikes of all populations, logits and gradients of a step in training mode."""
    set_backend(model, chosen)
    model.zero_grad()
    with record_spikes(model) as trace:
        logits = model(images)
    logits.square().sum().backward()
    return trace, logits.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


def test_a_model_trains_alike_on_both(device):
    torch.manual_seed(0)
    model = create_model("qkformer-digits", time_steps=2).to(device)
    images = torch.rand(1, 1, 8, 8, device=device) * 4
    trace, logits, gradients = trained(model, images, "torch")
    found, found_logits, found_gradients = trained(model, images, "triton")
    assert found.keys() == trace.keys()
    assert all((found[name] == trace[name]).all() for name in trace)
    assert torch.equal(found_logits, logits)
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(found_gradients[name], gradient, rtol=1e-4, atol=1e-6 * largest.item())
    assert all(spikes.any() for spikes in trace.values())
