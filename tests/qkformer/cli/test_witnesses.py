"""Other people's tools at the command line: what is compared, what is said of them, and flat files for them."""

import json
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from published import lively_model, small_config

import hardware
from hardware.targets.witness.target import WitnessTarget
from qkformer import load_data, save_checkpoint

TOOLS = {name: target for name, target in hardware.targets().items() if isinstance(target, WitnessTarget)}
POPULATIONS = 22
IMAGES, PER_IMAGE = 36, 288_808  # values of the shipped digits: over 10^7 in all


def those_here():
    """The names of the tools that are installed; the test is skipped if none is."""
    here = [name for name, target in TOOLS.items() if target.available() is None]
    if not here:
        pytest.skip(next(iter(TOOLS.values())).available())
    return here


def test_digits_against_every_tool(qkformer):
    tools = those_here()
    against = ",".join(["torch", "interpreter", "onnx", *tools])
    result = qkformer("verify", "qkformer-digits", "--images", IMAGES, "--against", against, "--report", "report")
    assert result.status == 0, result.out
    found = json.loads(Path("report/parity.json").read_text())
    assert found["mismatches"] == 0
    assert len(found["populations"]) == POPULATIONS
    for tool in tools:
        assert found["targets"][tool] == {"mismatches": 0, "compared": IMAGES * PER_IMAGE}


def test_another_version_is_said_in_one_line(qkformer, graph, monkeypatch):
    name = those_here()[0]
    monkeypatch.setattr(type(TOOLS[name]), "tested", "0.1")
    for command in (
        ("verify", "qkformer-digits", "--images", 1, "--against", f"torch,{name}"),
        ("simulate", graph, "--target", name, "--images", 1, "-o", "t.trace"),
        ("targets",),
    ):
        result = qkformer(*command, "--json", "found.json")
        assert result.status == 0
        (line,) = (line for line in result.out.splitlines() if "the version tested is 0.1" in line)
        assert line.startswith(f"note: {TOOLS[name].title} ")
        found = json.loads(Path("found.json").read_text())
        notes = found["notes"] if "notes" in found else [row["note"] for row in found["targets"] if row["note"]]
        assert [f"note: {note}" for note in notes] == [line]


@pytest.mark.parametrize("name", TOOLS)
def test_one_that_is_absent_names_the_command(refused, graph, monkeypatch, name):
    monkeypatch.setattr("hardware.targets.witness.target.importlib.util.find_spec", lambda package: None)
    assert TOOLS[name].note() is None
    wanted = ["is not installed", 'uv pip install -e ".[witness]"']
    refused("verify", "qkformer-digits", "--images", 1, "--against", f"torch,{name}", names=wanted)
    refused("simulate", graph, "--target", name, "--images", 1, "-o", "t.trace", names=wanted)


@pytest.mark.long
def test_a_flat_file_holds_no_nested_graph_and_the_same_network(qkformer):
    """Small self-attention and max-pools of currents."""
    save_checkpoint(lively_model(small_config()), "small.safetensors")
    images = torch.rand(4, 2, 6, 6, generator=torch.manual_seed(0))
    np.savez("images.npz", images=images.numpy(), train_images=images.numpy())
    traces = []
    for options in [], ["--inline"]:
        file = f"small{len(traces)}.nir"
        command = ("export", "small.safetensors", "-o", file, "--data", "images.npz", *options)
        result = qkformer(*command)
        assert result.status == 0, result
        graph = hardware.read_graph(file)
        nested = any(isinstance(node, nir.NIRGraph) for node in graph.nodes.values())
        assert nested == (not options)
        assert ("written flat" in result.out) == bool(options)
        traces.append(hardware.interpret(graph, hardware.encoding_of(graph).encode(images)))
    nested, flat = traces
    assert set(nested) < set(flat)  # what executes the flat file sees gates as populations
    assert hardware.compare(nested, {name: flat[name] for name in nested}).mismatches == 0


def test_digits_are_flat_anyhow(qkformer, graph):
    assert qkformer("export", "qkformer-digits", "-o", "flat.nir", "--inline").status == 0
    images = load_data("digits", "test")[0][:2]
    first, second = (hardware.read_graph(file) for file in (graph, "flat.nir"))
    inputs = hardware.encoding_of(first).encode(images)
    assert hardware.compare(hardware.interpret(first, inputs), hardware.interpret(second, inputs)).mismatches == 0
