"""Graphs as they were written before the profile: our readers execute them alike, on every target of ours."""

import nir
import numpy as np
import pytest

import hardware
from export import reference_trace, to_nir
from hardware.graph.file import read_graph, write_graph
from qkformer import load_digits


@pytest.fixture
def old_form(fixed_digits, monkeypatch):
    """Thresholds, padded SumPool2ds, gains r above 1, and a head of SumPool2d, Flatten and Affine."""
    monkeypatch.setattr("export.lower.graph.portable", lambda graph, inline: graph)
    graph = to_nir(fixed_digits)
    head = graph.nodes["head"]
    channels, *size = head.weight.shape[1:]
    nodes = dict(graph.nodes) | {
        "head.sum": nir.SumPool2d(np.array(size), np.array(size), np.array([0, 0])),
        "head.flatten": nir.Flatten({"input": np.array([channels, 1, 1])}, start_dim=0),
        "head": nir.Affine(head.weight[:, :, 0, 0], head.bias),
        "output": nir.Output({"output": np.array([len(head.bias)])}),
    }
    edges = [(source, "head.sum" if target == "head" else target) for source, target in graph.edges]
    edges += [("head.sum", "head.flatten"), ("head.flatten", "head")]
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata)


def test_it_has_what_the_profile_rewrites(old_form, digits_graph):
    kinds = {type(node) for node in old_form.nodes.values()}
    assert {nir.Threshold, nir.Flatten, nir.Affine} <= kinds
    assert not {nir.Threshold, nir.Flatten, nir.Affine} & {type(node) for node in digits_graph.nodes.values()}
    assert any(np.any(node.padding) for node in old_form.nodes.values() if isinstance(node, nir.SumPool2d))
    assert max(node.r.max() for node in old_form.nodes.values() if isinstance(node, nir.LIF)) > 1


@pytest.mark.parametrize("target", ["interpreter", "onnx", pytest.param("lava", marks=pytest.mark.long)])
def test_it_is_executed_alike(old_form, fixed_digits, tmp_path, target):
    chosen = hardware.targets()[target]
    if reason := chosen.available():
        pytest.skip(reason)
    images = load_digits("test")[0][:2]
    write_graph(old_form, tmp_path / "old.nir")
    trace = chosen.run(read_graph(tmp_path / "old.nir"), fixed_digits.encode(images))
    result = hardware.compare(reference_trace(fixed_digits, images), trace)
    assert result.mismatches == 0
    assert result.compared == 2 * 4 * sum(p.neurons for p in result.populations)
