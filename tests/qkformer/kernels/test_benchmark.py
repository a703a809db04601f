import importlib.util
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[3] / "benchmarks" / "kernels.py"


@pytest.fixture
def benchmark(device, monkeypatch):
    """The benchmark, at sizes that take no time."""
    spec = importlib.util.spec_from_file_location("kernels_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {
        "STEPS": (3,),
        "REPEATS": 1,
        "WARM_UP": 0,
        "COPIED_BYTES": 2**20,
        "SMALL_SAMPLE": (4, 3, 3),
    }.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_without_a_gpu_it_says_so(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    benchmark.main([])
    first, warning, *lines = capsys.readouterr().out.splitlines()
    assert "plain PyTorch on the CPU" in first
    assert "NOTHING below says anything about a GPU" in warning
    checked = "kernel equals it in the interpreter" if benchmark.interpreted() else "kernel not checked"
    assert [line.partition(",")[0] for line in lines if checked in line] == list(benchmark.KERNELS)


def test_every_kernel_is_measured_and_checked(benchmark, device, monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda operation: lambda *inputs: operation(*inputs))  # half a minute
    monkeypatch.setattr(benchmark, "SAMPLE", benchmark.SMALL_SAMPLE)
    monkeypatch.setattr(benchmark, "DTYPES", (torch.bfloat16,))
    benchmark.measure_on_gpu([0.0001], device)
    lines = [line for line in capsys.readouterr().out.splitlines() if "T = 3, bfloat16" in line]
    assert [line.partition(",")[0] for line in lines] == list(benchmark.KERNELS)
    assert all(line.count("x") >= 2 and "(0e+00)" in line for line in lines if not line.startswith("BatchNorm"))


def test_a_wrong_spike_or_gradient_is_found(benchmark):
    spikes, gradient = torch.tensor([0.0, 1.0]), torch.tensor([0.1, -0.2])
    benchmark.check((spikes, gradient), (spikes, gradient * (1 + 1e-6)))
    for found in ((1 - spikes, gradient), (spikes, gradient * 1.01)):
        with pytest.raises(AssertionError):
            benchmark.check(found, (spikes, gradient))
