"""Sections, gate by gate and fused, spike as Lava's own processes, the interpreter and PyTorch do."""

import numpy as np
import pytest
import torch
from amount import random_examples
from hypothesis import given
from published import lively_model, small_config
from random_networks import examples
from run_sections import run_sections
from small_graphs import chain, graph, threshold

import hardware
from export import quantize, reference_trace, to_nir
from hardware.graph.flat import at_rest
from hardware.graph.gates.max_pool import current_pool_graph
from hardware.graph.gates.self_attention import self_attention_graph
from hardware.targets.lava.partition import bus, partition


@random_examples(40)
@given(example=examples())
def test_random_networks(example, tmp_path_factory):
    graph = to_nir(example.fixed)
    wanted = hardware.interpret(graph, example.inputs)
    resting = at_rest(hardware.flatten(graph))["output"]
    for count in (1, 3):
        found = run_sections(graph, example.inputs, count, tmp_path_factory.mktemp("records"))
        found["output"] = found["output"] + resting.astype(np.int32)
        assert hardware.compare(wanted, found).mismatches == 0


@pytest.mark.parametrize("time_steps", [4, pytest.param(16, marks=pytest.mark.long)])
@pytest.mark.parametrize(("attention", "pooling"), [("self", "current"), ("self", "spike"), ("channel", "current")])
def test_published_parts_in_every_way(attention, pooling, time_steps, tmp_path):
    model = lively_model(small_config(attention=attention, pooling=pooling, time_steps=time_steps))
    images = torch.randn(2, 2, 6, 6, generator=torch.manual_seed(3))
    fixed = quantize(model, images)
    reference, inputs, network = reference_trace(fixed, images), fixed.encode(images), to_nir(fixed)
    reference.pop("output")
    silent = [name for name, spikes in reference.items() if not spikes.any()]
    assert len(silent) <= 3, silent
    for fused in (True, False):
        for trace in (
            hardware.interpret(network, inputs, fused=fused),
            run_sections(network, inputs, 2, tmp_path, fused=fused),
        ):
            trace.pop("output")
            assert hardware.compare(reference, trace).mismatches == 0


def test_partition_is_in_order_and_whole():
    fixed = quantize(lively_model(small_config()), torch.randn(1, 2, 6, 6))
    flat = hardware.flatten(to_nir(fixed), fused=True)
    plan = hardware.schedule(flat)
    for count in (1, 2, 5, 1000):
        parts = partition(plan, count)
        assert [name for part in parts for name in part] == list(plan.populations)
        assert all(parts)
        assert len(parts) <= count
    assert bus(plan, [list(plan.populations)]) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "how",
    [
        {"sections": 2, "fused": False},
        pytest.param({"sections": 2}, marks=pytest.mark.long),
        pytest.param({"sections": 0}, marks=pytest.mark.long),
    ],
    ids=["gates", "fused", "processes"],
)
def test_in_lava_gates_and_fused(how, lava):
    model = lively_model(small_config(size=4, heads=4))
    images = torch.randn(2, 2, 4, 4, generator=torch.manual_seed(4))
    fixed = quantize(model, images)
    reference, inputs, network = reference_trace(fixed, images), fixed.encode(images), to_nir(fixed)
    assert hardware.compare(reference, hardware.lava.simulate(network, inputs, **how)).mismatches == 0


@pytest.mark.long
def test_in_lavas_own_processes_gate_by_gate(lava):
    spikes = (np.random.default_rng(0).random((3, 2, 6, 1, 2)) < 0.6).astype(np.int8)
    nested = self_attention_graph((2, 1, 2), 1, 2)
    attention = graph((6, 1, 2), {"attention": nested}, ["input -> attention -> output"], (2, 1, 2))
    currents = np.random.default_rng(1).integers(-3, 4, (2, 2, 1, 3, 2))
    pool = graph(
        (1, 3, 2), {"pool": current_pool_graph((1, 3, 2), (3, 2, 1), -3, 3)}, ["input -> pool -> output"], (1, 2, 1)
    )
    for whole, inputs in ((attention, spikes), (pool, currents)):
        wanted = hardware.interpret(whole, inputs)
        found = hardware.lava.simulate(whole, inputs, stock_models=True, fused=False)
        assert hardware.compare(wanted, found).mismatches == 0
        assert wanted["output"].any()


@pytest.mark.parametrize(("neurons", "own"), [(10, True), (66_666, True), (66_667, False)])
def test_networks_of_few_values_run_in_lavas_own_processes(neurons, own):
    network = chain((1, neurons, 1), threshold((1, neurons, 1)))  # input, gate and output send as many
    plan = hardware.schedule(hardware.flatten(network))
    assert (hardware.lava.default_sections(plan) == 0) == own


def test_networks_of_many_processes_run_in_sections():
    gates = [threshold((1, 1, 1)) for _ in range(100)]
    plan = hardware.schedule(hardware.flatten(chain((1, 1, 1), *gates)))
    assert hardware.lava.process_count(plan) > 200
    assert hardware.lava.default_sections(plan) >= 1
