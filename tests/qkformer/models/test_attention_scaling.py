import importlib.util
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[3] / "benchmarks" / "attention_scaling.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("attention_scaling", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(benchmark, count, side):
    return tuple(torch.bernoulli(torch.full((1, 1, benchmark.CHANNELS, side, side), 0.2)) for _ in range(count))


def test_peak_memory_counts_what_is_alive_at_once(benchmark):
    x = torch.zeros(1000)

    def one_after_the_other(x):
        return ((x + 1).sum() + (x + 2).sum()).view(1)

    def both_at_once(x):
        return x + 1, x + 2

    size = x.numel() * 4
    assert size <= benchmark.peak_memory(one_after_the_other, (x,)) < 1.1 * size
    assert 2 * size <= benchmark.peak_memory(both_at_once, (x,)) < 2.1 * size


@torch.no_grad()
@pytest.mark.parametrize("name", ["QKTA", "QKCA"])
def test_qk_attention_allocates_its_result_and_no_second_mask(benchmark, name):
    count, mix = benchmark.kinds("cpu")[name]
    for side in (32, 64):
        tensors = inputs(benchmark, count, side)
        result = tensors[0].numel() * tensors[0].element_size()
        assert result <= benchmark.peak_memory(mix, tensors) < 1.1 * result


@torch.no_grad()
def test_both_orders_of_self_attention_agree(benchmark):
    kinds = benchmark.kinds("cpu")
    tensors = inputs(benchmark, 3, 8)
    fast = kinds["SSA, K^T V first"][1](*tensors).flatten(3)
    slow = kinds["SSA, Q K^T first"][1](*tensors).transpose(-1, -2)
    assert torch.equal(fast, slow)
    assert fast.mean() > 0


def test_exponents_are_slopes(benchmark):
    tokens = benchmark.TOKENS
    assert benchmark.exponent(tokens, [3e-9 * count**1.5 for count in tokens]) == pytest.approx(1.5)
