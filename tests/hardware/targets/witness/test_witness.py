"""Other people's tools run what we write: every population's spikes, exactly."""

import numpy as np
import pytest
import torch
from amount import random_examples
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import chain, conv, integrate_and_fire, lif, threshold

import hardware
from export import quantize, reference_trace, to_nir
from hardware import GraphError
from hardware.graph.file import read_graph
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph
from qkformer import load_checkpoint, load_digits

TOOLS = ("snntorch", "spikingjelly", "norse")


@pytest.fixture(params=TOOLS)
def tool(request):
    target = hardware.targets()[request.param]
    if reason := target.available():
        pytest.skip(reason)
    return target


def test_the_shipped_digits_in_every_population(tool, tmp_path):
    model, _ = load_checkpoint("qkformer-digits")
    images = load_digits("test")[0][:4]
    fixed = quantize(model, load_digits("train")[0])
    from export import write_graph

    write_graph(to_nir(fixed, inline=True), tmp_path / "digits.nir")
    trace = tool.run(read_graph(tmp_path / "digits.nir"), fixed.encode(images))
    result = hardware.compare(reference_trace(fixed, images), trace)
    assert result.mismatches == 0
    assert result.compared > 10**6


def test_self_attention_gate_by_gate(tool):
    graph = chain((6, 2, 2), self_attention_graph((2, 2, 2), 1, 2), output_shape=(2, 2, 2), type_check=False)
    inputs = np.random.default_rng(0).integers(0, 2, (3, 5, 6, 2, 2))
    trace = tool.run(graph, inputs)
    assert hardware.compare(hardware.interpret(graph, inputs, fused=False), trace).mismatches == 0
    np.testing.assert_array_equal(trace["output"], hardware.interpret(graph, inputs)["output"])


def test_a_max_pool_of_currents_gate_by_gate(tool):
    pool = current_pool_graph((1, 5, 5), (3, 2, 1), -20, 20)
    graph = chain((1, 5, 5), pool, output_shape=(1, 3, 3), type_check=False)
    inputs = np.random.default_rng(0).integers(-20, 21, (2, 7, 1, 5, 5))
    np.testing.assert_array_equal(tool.run(graph, inputs)["output"], hardware.interpret(graph, inputs)["output"])


@random_examples(20)
@given(seed=st.integers(0, 2**16), steps=st.integers(1, 6), samples=st.integers(1, 3), level=st.integers(0, 40))
def test_random_networks_of_halving_membranes(seed, steps, samples, level):
    rng = np.random.default_rng(seed)

    def layer(outputs, inputs):
        weight, bias = rng.integers(-9, 10, (outputs, inputs, 3, 3)), rng.integers(-3, 4, outputs)
        return conv(weight, bias=bias, padding=1, size=(4, 4))

    graph = chain(
        (1, 4, 4), layer(2, 1), lif((2, 4, 4), 2048, level), layer(3, 2), threshold((3, 4, 4), 0.5), layer(2, 3),
        lif((2, 4, 4), 2048, level), output_shape=(2, 4, 4),
    )  # fmt: skip
    inputs = rng.integers(-8, 9, (steps, samples, 1, 4, 4))
    wanted = hardware.interpret(graph, inputs)
    for name in TOOLS:
        target = hardware.targets()[name]
        if target.available() is None:
            assert hardware.compare(wanted, target.run(graph, inputs)).mismatches == 0


def test_batches_are_put_together(tool, monkeypatch):
    monkeypatch.setattr("hardware.targets.witness.run.BATCH", 2)
    graph = chain((2,), lif((2,), 2048, 3))
    inputs = np.random.default_rng(0).integers(0, 5, (4, 5, 2))
    assert hardware.compare(hardware.interpret(graph, inputs), tool.run(graph, inputs)).mismatches == 0


def test_integrate_and_fire_is_executed_or_refused(tool):
    graph = chain((2,), integrate_and_fire((2,), 3))
    if tool.name != "snntorch":
        inputs = np.random.default_rng(0).integers(-1, 3, (9, 4, 2))
        assert hardware.compare(hardware.interpret(graph, inputs), tool.run(graph, inputs)).mismatches == 0
        return
    with pytest.raises(GraphError, match=f"'node0' is a IF, which {tool.title} does not read"):
        tool.check(graph)


def test_another_version_is_said(tool, monkeypatch):
    graph = chain((2,), lif((2,), 2048, 3))
    assert "note" not in tool.describe(graph)
    monkeypatch.setattr(type(tool), "tested", "0.1")
    assert "the version tested is 0.1" in tool.describe(graph)["note"]


def test_torch_is_left_as_it_was(tool):
    before = torch.is_grad_enabled(), torch.get_default_dtype(), torch.random.get_rng_state()
    tool.run(chain((2,), lif((2,), 2048, 3)), np.ones((1, 1, 2), int))
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == before[:2]
    assert torch.equal(torch.random.get_rng_state(), before[2])
