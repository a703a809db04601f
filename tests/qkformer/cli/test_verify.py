"""`qkformer verify`: exit status, what it prints, and the files that it leaves."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from published import lively_model, small_config

import hardware
from hardware import PackedTrace
from qkformer import load_data, save_checkpoint
from qkformer.cli.show import PlainConsole

POPULATION = "stage1.0.tssa.mask"
VERIFY = ("verify", "qkformer-digits", "--images", 2, "--against", "interpreter")
SPIKES = 577_616  # of one target on two images


def parity(folder="runs/verify"):
    """The parity.json of a folder, whose totals are the sums of its parts."""
    found = json.loads(Path(folder, "parity.json").read_text())
    assert found["compared"] == sum(p["compared"] for p in found["populations"])
    assert found["mismatches"] == sum(p["mismatches"] for p in found["populations"])
    return found


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


@pytest.mark.long
def test_no_difference(qkformer, lava):
    result = qkformer("verify", "qkformer-digits", "--images", 2, "--report", "report", "--json", "v.json")
    assert result.status == 0
    assert f"0 of {3 * SPIKES:,} spikes differ" in result.out
    found = parity("report")
    assert found["mismatches"] == 0
    assert found["first_divergence"] is found["explanation"] is None
    assert found["findings"] == []
    assert [step["stage"] for step in found["ladder"]] == ["folded", "fixed", "interpreter", "read back", "lava"]
    assert [step["exact"] for step in found["ladder"]] == [False, False, True, True, True]
    assert set(found["accuracy"]) == {"float", "folded", "fixed", "interpreter", "read back", "lava"}
    assert found["accuracy"]["fixed"] == found["accuracy"]["lava"] == found["accuracy"]["interpreter"]
    assert set(found["targets"]) == {"interpreter", "read back", "lava"}
    assert all(layer["unexplained"] == 0 for layer in found["flips"])
    assert sum(layer["originated"] for layer in found["flips"]) > 0
    written = json.loads(Path("v.json").read_text())
    assert written["populations"] == found["populations"]
    assert written["command"] == found["command"]
    assert names("report") == {"model.nir", "parity.json", "report.html"}
    assert "Equal: 0 of" in Path("report/report.html").read_text()


def test_one_wrong_spike(qkformer, one_wrong_spike):
    result = qkformer(*VERIFY)
    assert result.status == 1
    assert f"\n1 of {2 * SPIKES:,} spikes differ\n" in result.out
    assert f"unknown in {POPULATION}" in result.out
    found = parity()
    assert found["mismatches"] == 1
    first = found["first_divergence"]
    assert (first["population"], first["time_step"], first["sample"]) == (POPULATION, 2, 1)
    assert first["neuron"] == [5, 3, 4]
    assert first["target"] == "interpreter"
    assert first["value"] == 1 - first["reference"]
    assert found["explanation"]["origin"] == "local"
    assert found["explanation"]["arrived"] == len(found["explanation"]["arrivals"])
    assert [finding["layer"] for finding in found["findings"]] == [POPULATION]
    assert names("runs/verify") == {"model.nir", "parity.json", "report.html", "bundle"}
    assert "1 error found" in Path("runs/verify/report.html").read_text()


def test_the_bundle_that_is_named_runs(qkformer, one_wrong_spike):
    result = qkformer(*VERIFY)
    (line,) = [line for line in result.out.splitlines() if line.startswith("to reproduce: python ")]
    script = line.removeprefix("to reproduce: python ")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0  # the fault was in this process: there, the same part of the network is right
    assert "interpreter, as recorded: 1 of " in done.stdout
    assert "interpreter, here: 0 of " in done.stdout


@contextmanager
def mask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_a_passing_run_takes_the_bundle_of_an_earlier_one_away(qkformer, one_wrong_spike, monkeypatch):
    assert qkformer(*VERIFY).status == 1
    assert "bundle" in names("runs/verify")
    with monkeypatch.context() as context:
        context.setattr(hardware.targets()["interpreter"], "run", one_wrong_spike)
        assert qkformer(*VERIFY).status == 0
    assert names("runs/verify") == {"model.nir", "parity.json", "report.html"}


def test_a_bundle_with_files_of_a_user_is_refused(refused):
    notes = Path("runs/verify/bundle/hardware/notes.txt")
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    refused(*VERIFY, names=[str(notes), "was not written by qkformer"])
    assert notes.read_text() == "mine"
    assert names("runs/verify") == {"bundle"}


def test_hostile_folders_modes_and_narrow_terminals(qkformer, one_wrong_spike, monkeypatch):
    folder = 'it\'s "a" [bold]folder\x1b[2K'
    for module in "show", "verify":
        monkeypatch.setattr(f"qkformer.cli.{module}.console", PlainConsole(width=20))
    with mask(0o077):
        result = qkformer(*VERIFY, "--report", folder)
    assert result.status == 1
    assert f"\n1 of {2 * SPIKES:,} spikes differ\n" in result.out
    for population in parity(folder)["populations"]:
        assert f"{population['neurons']:,} " in result.out
        assert population["name"] in result.out
    assert "\x1b" not in result.out
    assert "to reproduce: python 'it'\"'\"'s \"a\" [bold]folder\\x1b[2K/bundle/reproduce.py'" in result.out
    page = Path(folder, "report.html").read_text()
    assert "\x1b" not in page
    assert "[bold]folder" in page
    assert {path.stat().st_mode & 0o077 for path in (Path(folder), *Path(folder).rglob("*"))} == {0}


def test_fail_fast(qkformer, one_wrong_spike):
    assert qkformer(*VERIFY, "--fail-fast").status == 1
    found = parity()
    assert [step["stage"] for step in found["ladder"]] == ["folded", "fixed", "interpreter"]
    assert found["populations"][-1]["name"] == POPULATION
    assert found["explanation"]["origins"] == {POPULATION: "local"}


def test_a_trace_made_elsewhere(qkformer, monkeypatch):
    assert qkformer(*VERIFY, "--save-trace", "new/spikes.trace").status == 0
    saved = PackedTrace.load("new/spikes.trace")
    assert set(saved.about) == {"graph", "inputs", "versions"}
    assert saved[POPULATION].shape[:2] == (4, 2)
    result = qkformer(*VERIFY, "--load-trace", "new/spikes.trace", "--report", "again")
    assert result.status == 0
    found = parity("again")
    assert [step["stage"] for step in found["ladder"]] == ["interpreter", "read back"]
    assert found["compared"] == 2 * SPIKES


def test_a_loaded_trace_is_what_is_compared(qkformer):
    qkformer(*VERIFY, "--save-trace", "spikes.trace")
    changed = PackedTrace.load("spikes.trace")
    spikes = changed[POPULATION]
    spikes[1, 0, 2, 3, 4] ^= 1
    changed[POPULATION] = spikes
    changed.save("spikes.trace")
    assert qkformer(*VERIFY, "--load-trace", "spikes.trace").status == 1
    first = parity()["first_divergence"]
    assert (first["population"], first["time_step"], first["neuron"]) == (POPULATION, 1, [2, 3, 4])


def test_a_trace_of_something_else(qkformer, refused):
    qkformer(*VERIFY, "--save-trace", "spikes.trace")
    refused(
        "verify", "qkformer-digits", "--images", 3, "--load-trace", "spikes.trace", names=["other inputs", "--images"]
    )
    other = PackedTrace.load("spikes.trace")
    other.about["graph"] = "0" * 64
    other.save("other.trace")
    refused(*VERIFY, "--load-trace", "other.trace", names=["other weights", "000000000000", "same checkpoint"])


def test_a_limit_of_memory(qkformer):
    assert qkformer(*VERIFY, "--memory-limit", "0.01").status == 0
    assert parity()["compared"] == 2 * SPIKES


def test_the_published_batch_leak(qkformer):
    model = lively_model(small_config(attention="self").replace(batch_leak=True))
    save_checkpoint(model, "leak.safetensors")
    images = torch.randn(3, 2, 6, 6, generator=torch.manual_seed(3))
    np.savez("images.npz", images=images.numpy())
    result = qkformer("verify", "leak.safetensors", "--data", "images.npz")
    assert result.status == 1
    found = parity()
    assert {(f["kind"], f["layer"]) for f in found["findings"]} == {("batch leak", "stage2.0.ssa.proj_lif")}
    assert "stage2.0.ssa.proj_lif leaks" in Path("runs/verify/report.html").read_text()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--memory-limit", "-1"), ["--memory-limit", "-1 MB", "0 to 1,000,000"]),
        (("--memory-limit", "much"), ["--memory-limit", "valid"]),
        (("--load-trace", "gone.trace"), ["gone.trace", "no such file"]),
        (("--load-trace", "images.npz"), ["images.npz", "not a readable trace"]),
        (("--save-trace", "."), ["is a folder"]),
    ],
)
def test_could_not_run(options, parts, refused):
    Path("images.npz").write_bytes(b"no trace")
    refused(*VERIFY, *options, names=parts)


def test_labels_are_not_needed(qkformer):
    np.savez("digits.npz", images=load_data("digits", "test")[0][:2].numpy())
    assert qkformer(*VERIFY, "--data", "digits.npz").status == 0
    assert parity()["accuracy"] == {}


@pytest.fixture
def nested(qkformer):
    """A checkpoint of few gates, in nested graphs of both kinds, and images for it."""
    save_checkpoint(lively_model(small_config(attention="self", pooling="current", size=4)), "nested.safetensors")
    images = torch.randn(2, 2, 4, 4, generator=torch.manual_seed(3))
    np.savez("images.npz", images=images.numpy())
    return ("verify", "nested.safetensors", "--data", "images.npz", "--images", 2)


def test_few_gates_are_executed_unasked_and_many_are_named(qkformer, nested):
    command = (*nested, "--against", "interpreter,onnx")
    assert qkformer(*command, "--json", "gates.json").status == 0
    found = json.loads(Path("gates.json").read_text())
    assert found["fused"] == {"interpreter": [], "read back": [], "onnx": []}
    result = qkformer(*command, "--no-gates", "--json", "fused.json")
    assert result.status == 0
    at_once = json.loads(Path("fused.json").read_text())
    names = at_once["fused"]["interpreter"]
    assert len(names) == 2
    assert at_once["fused"]["onnx"] == names
    for name in names:
        assert f"not gate by gate: {name} ran as one operation in interpreter, read back, onnx" in result.out
    assert at_once["populations"] == found["populations"]


@pytest.mark.long
def test_gates_in_lava(qkformer, nested, lava):
    assert qkformer(*nested, "--against", "lava", "--gates").status == 0
    assert parity()["fused"] == {"lava": []}


def test_a_wrong_mark_is_found(qkformer, refused, nested):
    """The gates of a file are what is verified: a mark that says something else is refused."""
    assert qkformer("export", "nested.safetensors", "--data", "images.npz", "-o", "model.nir").status == 0
    graph = hardware.read_graph("model.nir")
    (attention,) = [n for n in graph.nodes.values() if getattr(n, "metadata", {}).get("heads") is not None]
    attention.metadata["heads"] = 4
    hardware.write_graph(graph, "wrong.nir")
    simulate = ("simulate", "wrong.nir", "--data", "images.npz", "--images", 2, "-o", "t.trace")
    refused(*simulate, names=["attn_product", "is marked", "self-attention", "differ"])
    assert qkformer(*simulate, "--gates").status == 0
