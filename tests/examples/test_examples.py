"""Every example runs from any folder, in the order of the pipeline, and writes what it says."""

import runpy
import sys
from pathlib import Path

import pytest

import hardware
from qkformer import load_checkpoint, read_metadata

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST = 35  # lines


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Runs an example as a script, in an empty folder; returns what it printed."""

    def example(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return example


@pytest.mark.long
def test_train(example, tmp_path):
    assert "after 1 epoch" in example("train.py", "1")
    path = tmp_path / "runs/examples/model.safetensors"
    assert load_checkpoint(path)[1].name == "qkformer-digits"
    assert read_metadata(path)["epoch"] == 1


@pytest.mark.long
def test_quantize(example):
    printed = example("quantize.py")
    assert "no input can overflow it: True" in printed
    assert "stage1.0.tssa.mask" in printed


@pytest.mark.long
def test_export_then_simulate(example, tmp_path, lava):
    assert "'LIF': 21" in example("export_to_nir.py")
    assert hardware.encoding_of(hardware.read_graph(tmp_path / "runs/examples/model.nir")).time_steps == 4
    assert "Lava reads [" in example("simulate.py", "2")
    trace = hardware.SpikeTrace.load(tmp_path / "runs/examples/spikes.trace")
    assert trace["output"].shape == (4, 2, 10)


@pytest.mark.long
def test_verify(example, tmp_path, lava):
    lines = example("verify.py", "2").splitlines()
    assert [line.split(":")[0] for line in lines] == ["interpreter", "lava"]
    assert all(": 0 of " in line and line.endswith("first: None") for line in lines)
    assert (tmp_path / "runs/examples/raster.png").read_bytes().startswith(b"\x89PNG")


def test_each_is_tested_and_short():
    scripts = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == {"train.py", "quantize.py", "export_to_nir.py", "simulate.py", "verify.py"}
    assert max(scripts.values()) < LONGEST, scripts
