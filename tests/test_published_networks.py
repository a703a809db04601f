"""Whole published architectures, golden weights: PyTorch's fixed model, the interpreter and Lava spike alike."""

import nir
import pytest
from published import golden_inputs, golden_model

import hardware
from export import quantize, reference_trace, to_nir

pytestmark = pytest.mark.long

SAMPLES = 2


@pytest.mark.parametrize("name", ["qkformer-cifar10", "spikformer-4-384", "qkformer-dvs128"])
def test_no_spike_differs(name, lava, tmp_path):
    model = golden_model(name)
    images = golden_inputs(model.config, SAMPLES)
    fixed = quantize(model, images)
    assert fixed.certificate.certified
    reference, inputs = reference_trace(fixed, images), fixed.encode(images)
    graph = to_nir(fixed)
    for trace in (hardware.interpret(graph, inputs), hardware.lava.simulate(graph, inputs)):
        report = hardware.compare(reference, trace)
        assert report.mismatches == 0, report.first_divergence
    assert all(spikes.any() for spikes in reference.values())


def test_file_of_a_published_network_is_standard_and_small(tmp_path):
    model = golden_model("qkformer-cifar10")
    graph = to_nir(quantize(model, golden_inputs(model.config, 1)))
    hardware.write_graph(graph, tmp_path / "model.nir")
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert (tmp_path / "model.nir").stat().st_size < 3 * weights
    found = nir.read(tmp_path / "model.nir")  # NIR's own reader, type check on
    kinds = {type(node) for node in found.nodes.values()}
    for node in found.nodes.values():
        if isinstance(node, nir.NIRGraph):
            kinds |= {type(inner) for inner in node.nodes.values()}
    assert all(kind.__module__.startswith("nir.") for kind in kinds)
