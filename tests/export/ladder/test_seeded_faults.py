"""Faults that were planted, one a test: the report names the layer and the kind, and points at no later layer."""

import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from export.sources import fold as fold_module
from export.sources.batchnorm import fold
from hardware import Target
from hardware.graph.flat import at_rest
from hardware.graph.neuron import IntegerNeuron
from hardware.parity.causes import fire
from hardware.parity.divergence import INHERITED, LOCAL
from hardware.targets.lava.section import Section
from qkformer import load_digits

CONV, POPULATION = "stage1.0.tssa.k_conv", "stage1.0.tssa.k_lif"


@pytest.fixture(scope="module")
def images():
    return load_digits("test")[0][:3]


@pytest.fixture
def climb(digits, fixed_digits, images, tmp_path):
    """climb(targets, **options): the report of the ladder over the shipped model."""

    def climb(targets=("interpreter",)):
        return export.run_ladder(digits, fixed_digits, images, tmp_path, targets=targets).report

    return climb


@pytest.fixture
def lowered_with(monkeypatch, fixed_digits):
    """lowered_with(change): from now on, lowering changes one node, in place."""

    def lowered_with(name, change):
        def to_nir(fixed):
            graph = export.to_nir(fixed)
            change(graph.nodes[name])
            return graph

        monkeypatch.setattr("export.ladder.run.to_nir", to_nir)

    return lowered_with


class InPlaceOfLava(Target):
    """A target that runs a function: (graph, inputs, into) -> trace."""

    name = title = description = "lava"

    def __init__(self, run_graph):
        self.run_graph = run_graph

    def available(self):
        return None

    def check(self, graph, **options):
        pass

    def run(self, graph, inputs, *, progress=None, into=None, **options):
        return self.run_graph(graph, inputs, into)


def target_with(population, emit):
    """A target in place of Lava in which one population emits something else: emit(neuron, current, spikes)."""
    right = IntegerNeuron.run

    def run(neuron, name, sums, bias):
        spikes = right(neuron, name, sums, bias)
        return emit(neuron, sums + bias, spikes) if name == population else spikes

    def run_graph(graph, inputs, into):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IntegerNeuron, "run", run)
            return hardware.interpret(graph, inputs, into=into)

    return {"lava": InPlaceOfLava(run_graph)}


def streaming_target(change_plan=lambda plan: None, change_section=lambda section: None):
    """A target in place of Lava that streams samples back to back, time step by time step, from a changed schedule."""

    def run_graph(graph, inputs, into):
        flat = hardware.flatten(graph, fused=True)
        plan = hardware.schedule(flat)
        change_plan(plan)
        time_steps, samples = inputs.shape[:2]
        stream = inputs.swapaxes(0, 1).reshape(-1, *inputs.shape[2:])
        frames = np.concatenate([stream, np.zeros((plan.depth, *stream.shape[1:]), stream.dtype)])
        trace = hardware.SpikeTrace() if into is None else into
        with tempfile.TemporaryDirectory() as folder:
            section = Section(flat, plan, plan.populations, frames, time_steps, Path(folder))
            change_section(section)
            for step in range(1, len(frames) + 1):
                section.update(step)
                section.transmit()
            resting = at_rest(flat)
            for name in plan.recorded:
                record = section.records[name]
                values = np.array(record.reshape(samples, time_steps, *record.shape[1:]).swapaxes(0, 1))
                trace[name] = values + resting[name].astype(np.int32) if name == "output" else values
        return trace

    return {"lava": InPlaceOfLava(run_graph)}


def assert_found(report, layer, kind, *words):
    """The only finding is this one; the first divergence is local, and all later ones are passed on."""
    (finding,) = report.findings
    assert (finding.layer, finding.kind) == (layer, kind), finding
    for word in words:
        assert word in finding.text
    assert report.mismatches
    assert report.first_divergence.population == layer
    explanation = report.explanation
    assert explanation.origin == LOCAL
    assert {explanation.origins[name] for name in explanation.origins if name != layer} <= {INHERITED}
    emitted = [side.emitted[-1] for side in (explanation.reference, explanation.target)]
    assert emitted == [report.first_divergence.reference, report.first_divergence.value]


def test_a_target_without_a_fault(climb):
    report = climb({"interpreter": hardware.targets()["interpreter"], **streaming_target()})
    assert report.findings == ()
    assert report.mismatches == 0
    assert [step.stage for step in report.ladder] == ["folded", "fixed", "interpreter", "read back", "lava"]


def test_one_weight_off_by_one(climb, lowered_with):
    def change(node):
        node.weight[6, 4, 0, 0] += 1  # an input that these images' spikes come through

    lowered_with(CONV, change)
    report = climb()
    assert_found(
        report, POPULATION, "weight", CONV, "1 of 4,096 differ", "weight[6, 4, 0, 0] is 20, 19 in the reference"
    )
    assert report.first_divergence.neuron[0] == 6
    history = report.explanation
    assert history.reference.membrane[-1] <= history.reference.threshold < history.target.membrane[-1]


def test_a_threshold_that_is_reached_but_not_exceeded(climb):
    def at_least(neuron, current, spikes):
        return replace(neuron, threshold=neuron.threshold - 1).run("", current, np.zeros(()))

    report = climb(target_with(POPULATION, at_least))
    assert_found(report, POPULATION, "comparison", ">= threshold")
    history = report.explanation.target
    assert history.membrane[-1] == history.threshold


def test_running_mean_passed_as_running_var(digits, images, tmp_path, monkeypatch):
    model = copy.deepcopy(digits)
    layer = model.get_submodule("stage1.0.tssa")
    layer.k_bn.running_mean.abs_().add_(0.1)  # a variance cannot be negative
    fixed = export.quantize(model, load_digits("train")[0])

    def faulty_fold(conv, bn):
        bn = copy.deepcopy(bn)
        if conv is layer.k_conv:
            bn.running_var = bn.running_mean
        return fold(conv, bn)

    monkeypatch.setattr(fold_module, "fold", faulty_fold)
    report = export.run_ladder(model, fixed, images, tmp_path, targets=["interpreter"]).report
    finding = report.findings[0]
    assert (finding.layer, finding.kind) == (CONV, "folding")
    assert finding.text == "running_mean was passed as running_var"
    assert [error.layer for error in report.folding] == [CONV]


def test_running_mean_passed_as_running_var_in_quantization(digits, images, tmp_path, monkeypatch):
    """The folded model is right and the fixed one is not: its flips are more than rounding can explain."""
    model = copy.deepcopy(digits)
    layer = model.get_submodule("stage1.0.tssa")
    layer.k_bn.running_mean.abs_().add_(0.1)

    def faulty_fold(conv, bn):
        bn = copy.deepcopy(bn)
        if conv is layer.k_conv:
            bn.running_var = bn.running_mean
        return fold(conv, bn)

    with monkeypatch.context() as patch:
        patch.setattr(fold_module, "fold", faulty_fold)
        fixed = export.quantize(model, load_digits("train")[0])
    report = export.run_ladder(model, fixed, images, tmp_path, targets=["interpreter"]).report
    assert [(finding.layer, finding.kind) for finding in report.findings] == [(POPULATION, "unexplained flips")]


@pytest.mark.parametrize("population", [POPULATION, "stage2.0.mlp.mlp2_lif"])
def test_a_membrane_that_is_not_reset_between_samples(climb, population):
    def forget_reset(section):
        if population in section.cells:
            section.cells[population].offset = -1

    report = climb(streaming_target(change_section=forget_reset))
    assert_found(report, population, "missing reset", "each sample starts with")


def test_a_membrane_that_is_not_reset_by_a_spike(climb):
    def keep(neuron, current, spikes):
        return fire(neuron, current, reset="none")

    report = climb(target_with(POPULATION, keep))
    assert_found(report, POPULATION, "missing reset", "not cleared by a spike")


@pytest.mark.parametrize(
    ("source", "target", "reader", "text"),
    [
        (
            "stage1.0.tssa.k_conv.input",
            "stage1.0.mlp.mlp1_conv.input",
            "stage1.0.mlp.mlp1_lif",
            "patch_embed1.proj1_lif and patch_embed1.proj_res_lif arrive one time step early",
        ),
        (
            "patch_embed2.proj_res_lif",
            "stage2.0.cssa.k_conv.input",
            "stage2.0.cssa.k_lif",
            "patch_embed2.proj_res_lif arrives one time step early",
        ),
        (
            "stage1.0.tssa.k_lif",
            "stage1.0.tssa.mask",
            "stage1.0.tssa.mask",
            "stage1.0.tssa.k_lif arrives one time step early",
        ),
    ],
)
def test_a_delay_one_step_short_on_a_residual_branch(source, target, reader, text, climb):
    def shorten(plan):
        for index, connection in enumerate(plan.connections):
            if (connection.source, connection.target) == (source, target):
                plan.connections[index] = replace(connection, delay=connection.delay - 1)
                shortened.append(connection)

    shortened = []
    report = climb(streaming_target(shorten))
    assert shortened
    (finding,) = report.findings
    assert (finding.layer, finding.kind, finding.text) == (reader, "delay", text)
    assert report.first_divergence.population == reader
    assert report.explanation.origin == LOCAL


def test_a_bias_dropped_by_the_lowering(climb, lowered_with):
    lowered_with(CONV, lambda node: setattr(node, "bias", 0 * node.bias))
    assert_found(climb(), POPULATION, "dropped bias", CONV, "every bias is 0")


def test_a_bias_dropped_by_the_target(climb):
    def drop(section):
        if POPULATION in section.cells:
            section.cells[POPULATION].bias = 0 * section.cells[POPULATION].bias

    report = climb(streaming_target(change_section=drop))
    assert_found(report, POPULATION, "dropped bias", "no bias is added")


def test_channels_permuted_by_the_lowering(climb, lowered_with):
    def permute(node):
        order = np.arange(64)
        order[[5, 9, 20]] = [9, 20, 5]
        node.weight, node.bias = node.weight[order], node.bias[order]

    lowered_with(CONV, permute)
    assert_found(climb(), POPULATION, "permuted channels", "3 output channels", "first is 5")


def test_channels_permuted_by_the_target(climb):
    report = climb(target_with(POPULATION, lambda neuron, current, spikes: np.roll(spikes, 1, axis=2)))
    assert_found(report, POPULATION, "permuted channels")


def test_the_batch_leak_of_published_qkformer(digits, images):
    model = lively_model(small_config(attention="self", time_steps=4).replace(batch_leak=True))
    pictures = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    leaks = export.find_leaks(model, pictures)
    assert leaks[0].divergence.population == leaks[1].divergence.population
    assert leaks[0].divergence.population.endswith("ssa.proj_lif")
    assert {leak.arrangement for leak in leaks} == {"in a batch", "after another sample"}
    separate = lively_model(small_config(attention="self", time_steps=4))
    assert export.find_leaks(separate, pictures) == ()


def test_the_batch_leak_in_a_target(climb):
    def leak(neuron, current, spikes):
        return neuron.run("", current.reshape(-1, 1, *current.shape[2:]), np.zeros(())).reshape(current.shape)

    report = climb(target_with(POPULATION, leak))
    assert_found(report, POPULATION, "batch leak", "to the next")


def test_the_spikes_of_one_head_transposed(climb):
    def transpose(neuron, current, spikes):
        spikes[:, :, 8:16] = spikes[:, :, 8:16].swapaxes(3, 4).copy()
        return spikes

    report = climb(target_with("stage1.0.tssa.mask", transpose))
    assert_found(report, "stage1.0.tssa.mask", "transposed maps", "channels 8 .. 15")


def test_a_missing_connection(climb, monkeypatch):
    def to_nir(fixed):
        graph = export.to_nir(fixed)
        edges = [edge for edge in graph.edges if edge != ("patch_embed1.proj_res_lif", CONV)]
        return nir.NIRGraph(graph.nodes, edges, metadata=graph.metadata, type_check=False)

    monkeypatch.setattr("export.ladder.run.to_nir", to_nir)
    report = climb()
    assert report.first_divergence.population == POPULATION
    assert report.explanation.origin == LOCAL
