"""The examples of CONTRIBUTING.md, each as the file that it names: it is found where it lies, and does what it says."""

import importlib
import re
import sys
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from published import lively_model, small_config

import export
import hardware
from hardware.graph import nodes
from qkformer import create_model
from qkformer.data import load_images, sources
from qkformer.models.attention import ATTENTIONS

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The module of an example, in a folder that its package searches as well as its own."""
    loaded = []

    def add(path):
        package = importlib.import_module(path.rpartition("/")[0].replace("/", "."))
        file = tmp_path / Path(path).name
        file.write_text(EXAMPLES[path])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        loaded.append((package, file.stem))
        return importlib.import_module(f"{package.__name__}.{file.stem}")

    _forget()
    yield add
    for package, name in loaded:
        delattr(package, name)
        del sys.modules[f"{package.__name__}.{name}"]
    monkeypatch.undo()
    _forget()


def _forget():
    """The packages look for their files anew."""
    for cached in (nodes.node_kinds, sources.kinds):
        cached.cache_clear()


def test_each_example_is_tested_and_each_file_has_its_place():
    root = Path(__file__).parents[1]
    assert len(EXAMPLES) == TEXT.count("```python") == 6
    assert all((root / path).parent.is_dir() for path in EXAMPLES)


def test_a_target(added, graph_of_one_gate):
    added("hardware/targets/mirror.py")
    graph, inputs = graph_of_one_gate
    target = hardware.targets()["mirror"]
    assert target.available() is None
    assert hardware.compare(hardware.interpret(graph, inputs), target.run(graph, inputs)).mismatches == 0
    with pytest.raises(hardware.InputError, match="has no option 'sections'"):
        target.run(graph, inputs, sections=2)


def test_a_kind_of_node(added):
    kind = added("hardware/graph/nodes/negation.py")
    gate = nir.Threshold(np.full((1, 2, 2), 0.5))
    graph = nir.NIRGraph.from_list(nir.Input(np.array([1, 2, 2])), kind.Negation((1, 2, 2)), gate)
    trace = hardware.interpret(graph, -np.eye(2, dtype=int).reshape(1, 1, 1, 2, 2))
    assert trace["threshold"].ravel().tolist() == [1, 0, 0, 1]
    assert hardware.schedule(hardware.flatten(graph)).depth == 2


def test_a_chip(added):
    added("hardware/chip/nibble.py")
    images = torch.rand(2, 2, 6, 6, generator=torch.manual_seed(3))
    model = lively_model(small_config(attention="channel", pooling="spike"))
    fixed = export.quantize(model, images, chip=hardware.get_chip("nibble"))
    assert max(layer.largest_weight for layer in fixed.certificate) == 7
    trace = hardware.interpret(export.to_nir(fixed), fixed.encode(images), chip=hardware.get_chip("nibble"))
    assert hardware.compare(export.reference_trace(fixed, images), trace).mismatches == 0


def test_an_attention(monkeypatch):
    monkeypatch.setitem(ATTENTIONS, "global", None)  # so that what the example adds is taken away again
    exec(EXAMPLES["qkformer/models/attention.py"], {"__name__": "example"})
    images = torch.rand(3, 2, 6, 6, generator=torch.manual_seed(3))
    model = lively_model(small_config(attention="global", pooling="spike"))
    fixed = export.quantize(model, images)
    reference = export.reference_trace(fixed, images)
    assert hardware.compare(reference, hardware.interpret(export.to_nir(fixed), fixed.encode(images))).mismatches == 0
    (attention,) = (spikes for name, spikes in reference.items() if name.endswith("ssa.attn_lif") and "2." in name)
    assert attention.shape[2] == 1


def test_a_source_of_images(added):
    added("qkformer/data/sources/noise.py")
    images, labels = load_images("noise:3", "test", 4, channels=3, image_size=6)
    assert images.shape == (4, 3, 6, 6)
    assert labels is None
    assert torch.equal(images, load_images("noise:3", "test", 4, channels=3, image_size=6)[0])


def test_a_source_of_networks(added):
    network = added("export/sources/tiny.py").tiny_network(seed=0)
    images = torch.rand(5, 1, 8, 8, generator=torch.manual_seed(1))
    fixed = export.quantize(network, images)
    reference = export.reference_trace(fixed, images)
    assert reference["lif"].any()
    found = hardware.interpret(export.to_nir(fixed), fixed.encode(images))
    assert np.array_equal(found["lif"], reference["lif"])


def test_nothing_of_an_example_stays():
    assert "mirror" not in hardware.targets()
    assert "nibble" not in hardware.chips()
    assert "global" not in ATTENTIONS
    with pytest.raises(ValueError, match="attention is 'global'"):
        create_model(small_config(attention="global"))


@pytest.fixture
def graph_of_one_gate():
    gate = nir.Threshold(np.full((1, 2, 2), 0.5))
    graph = nir.NIRGraph.from_list(nir.Input(np.array([1, 2, 2])), gate)
    return graph, np.eye(2, dtype=int).reshape(1, 1, 1, 2, 2)
