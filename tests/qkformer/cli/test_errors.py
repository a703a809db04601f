"""What a user can get wrong: status 2 and one line that names it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from hardware.targets.lava import LavaError
from qkformer import create_model, save_checkpoint
from qkformer.checkpoints.checkpoint import find_checkpoint

COMMAND = Path(sys.executable).with_name("qkformer")


class Rude:
    """A pickle that would run a command when read."""

    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def write_checkpoint(kind):
    path = Path(f"{kind}.safetensors")
    if kind == "truncated":
        path.write_bytes(find_checkpoint("qkformer-digits").read_bytes()[:100_000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "foreign":
        safetensors.torch.save_file({"conv1.weight": torch.zeros(3, 3)}, path)
    elif kind == "incomplete":
        save_checkpoint(create_model("qkformer-digits"), path)
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys() if key != "head.bias"}  # noqa: SIM118
            safetensors.torch.save_file(tensors, path, file.metadata())
    elif "pickle" in kind:
        path = path.with_suffix(".pth")
        path.write_bytes(pickle.dumps(Rude(), protocol=2 if kind == "pickle" else 4))
    return path


long = pytest.mark.long  # the same loader behind another command


@pytest.mark.parametrize(
    "command", [("info",), *(pytest.param(c, marks=long) for c in [("export", "-o", "m.nir"), ("verify",)])]
)
@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("unknown", "no such file; checkpoints shipped by name are qkformer-"),
        ("truncated", "not a whole safetensors file"),
        ("empty", "not a whole safetensors file"),
        ("foreign", "conv1.weight"),
        ("incomplete", "head.bias"),
        ("pickle", "refused"),
        ("new pickle", "not a checkpoint"),
    ],
)
def test_a_bad_checkpoint(command, kind, part, refused):
    path = write_checkpoint(kind)
    refused(*command, path, names=[str(path), part])
    assert not Path("it-ran").exists()


@pytest.mark.parametrize("command", [("export", "-o", "m.nir"), ("verify",)])
@pytest.mark.parametrize("kind", ["unknown", "foreign"])
def test_every_command_names_a_bad_checkpoint(command, kind, refused):
    path = write_checkpoint(kind)
    refused(*command, path, names=[str(path)])


@pytest.mark.parametrize("command", [("export", "-o", "m.nir"), ("verify",)])
def test_a_model_that_leaks_over_the_batch(command, refused):
    save_checkpoint(create_model("qkformer-digits", batch_leak=True), "leak.safetensors")
    refused(*command, "leak.safetensors", names=["qkformer-digits", "batch_leak"])


def test_weights_that_are_not_numbers(refused):
    model = create_model("qkformer-digits")
    with torch.no_grad():
        model.get_parameter("stage1.0.tssa.k_conv.weight")[3, 2] = torch.nan
    save_checkpoint(model, "nan.safetensors")
    refused("export", "nan.safetensors", "-o", "m.nir", names=["stage1.0.tssa.k_conv", "NaN"])
    assert not Path("m.nir").exists()


def test_a_missing_graph(refused):
    refused("simulate", "no.nir", "-o", "t.npz", names=["no.nir", "no such file"])


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", "truncated"])
def test_a_damaged_graph(content, refused, graph):
    Path("bad.nir").write_bytes(graph.read_bytes()[:50_000] if content == "truncated" else content)
    refused("simulate", "bad.nir", "-o", "t.npz", names=["bad.nir", "not a readable NIR file"])


BAD_DATA = {
    "narrow": ({"images": np.ones((2, 1, 8, 7), np.float32)}, ["[2, 1, 8, 7]", "1, 8, 8]"]),
    "coloured": ({"images": np.ones((2, 3, 8, 8), np.float32)}, ["[2, 3, 8, 8]", "1, 8, 8]"]),
    "flat": ({"images": np.ones((2, 64), np.float32)}, ["[2, 64]"]),
    "scalar": ({"images": np.float32(1)}, ["[]"]),
    "nobody": ({"images": np.ones((0, 1, 8, 8), np.float32)}, ["[0, 1, 8, 8]", "at least one"]),
    "text": ({"images": np.full((2, 1, 8, 8), "x")}, ["'images'", "<U1"]),
    "complex": ({"images": np.ones((2, 1, 8, 8), complex)}, ["'images'", "complex128"]),
    "object": ({"images": np.array([None])}, ["'images'", "object"]),
    "nan": ({"images": np.full((2, 1, 8, 8), np.nan)}, ["nan"]),
    "unnamed": ({"photos": np.ones((2, 1, 8, 8))}, ["photos", "'images'"]),
    "unlabelled": ({"images": np.ones((2, 1, 8, 8)), "labels": np.ones(3, int)}, ["'labels'", "[3]", "2 images"]),
}


@pytest.mark.parametrize("command", ["simulate", *(pytest.param(c, marks=long) for c in ("verify", "export"))])
@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_images(kind, command, refused, graph):
    arrays, names = BAD_DATA[kind]
    np.savez("bad.npz", **arrays)
    subject = {"simulate": (graph, "-o", "t.npz"), "verify": ("qkformer-digits",)}.get(
        command, ("qkformer-digits", "-o", "m.nir")
    )
    result = refused(command, *subject, "--data", "bad.npz", names=[])
    for part in names:
        assert part.lower() in result.err.lower()


@pytest.mark.parametrize("command", [("verify", "qkformer-digits"), ("export", "qkformer-digits", "-o", "m.nir")])
def test_every_command_names_bad_images(command, refused):
    arrays, names = BAD_DATA["narrow"]
    np.savez("bad.npz", **arrays)
    refused(*command, "--data", "bad.npz", names=names)


@pytest.mark.parametrize("content", [b"not a zip", "truncated"])
def test_a_damaged_file_of_images(content, refused, graph):
    np.savez("bad.npz", images=np.random.default_rng(0).random((9, 1, 8, 8)))
    whole = Path("bad.npz").read_bytes()
    Path("bad.npz").write_bytes(whole[:2000] if content == "truncated" else content)
    refused("simulate", graph, "-o", "t.npz", "--data", "bad.npz", names=["bad.npz", "not a readable .npz"])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (
            ("verify", "qkformer-digits", "--data", "faces"),
            ["data 'faces'", "digits", "hub:OWNER/NAME"],
        ),
        (("verify", "qkformer-digits", "--data", "gone.npz"), ["gone.npz"]),
        (("verify", "qkformer-digits", "--images", "0"), ["--images", "0", "at least 1"]),
        (("verify", "qkformer-digits", "--images", "many"), ["--images", "valid int"]),
        (("verify", "qkformer-digits", "--against", "torch,loihi"), ["loihi", "interpreter, lava"]),
        (("verify", "qkformer-digits", "--against", "torch"), ["no target", "interpreter, lava"]),
        (("verify",), ["CKPT"]),
        (("simulate", "any.nir", "-o", "t.npz", "--backend", "loihi"), ["loihi", "interpreter, lava"]),
        (("demo", "--images", "-3"), ["--images", "-3"]),
        (("info", "qkformer-11"), ["qkformer-11"]),
        (("train", "qkformer-11"), ["qkformer-11", "qkformer-digits"]),
        (("train", "qkformer-digits", "--data", "faces"), ["faces", "digits"]),
        (("train", "qkformer-digits", "--data", "uoft-cs/cifar10"), ["no such folder", "hub:OWNER/NAME"]),
        (("train", "qkformer-digits", "--epochs", "0"), ["epochs", "0", "at least 1"]),
        (("train", "qkformer-digits", "--resume"), ["model.safetensors.state", "no state to resume from"]),
        (("demo", "--sections", "-1"), ["sections", "-1"]),
        (("fly",), ["fly"]),
        (("demo", "--fast"), ["--fast"]),
    ],
)
def test_bad_options(arguments, names, refused):
    refused(*arguments, names=names)


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "-o", "file/out"),
        ("verify", "qkformer-digits", "--report", "file/out"),
        ("train", "qkformer-digits", "-o", "file/out/m.safetensors"),
        ("export", "qkformer-digits", "-o", "file/m.nir"),
        ("simulate", "any.nir", "-o", "file/t.npz"),
        ("info", "qkformer-digits", "--json", "file/i.json"),
    ],
)
def test_output_where_nothing_can_be_written(arguments, refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(*arguments, names=["file"])


def test_output_that_is_a_folder(refused, tmp_path):
    (tmp_path / "out").mkdir()
    refused("export", "qkformer-digits", "-o", "out", names=["out", "is a folder"])


def test_output_in_a_folder_without_permission(refused, tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr("qkformer.cli.outputs.tempfile.TemporaryFile", lambda dir: (dir / "no/such/folder").open())
    refused("export", "qkformer-digits", "-o", tmp_path / "locked/m.nir", names=["locked", "cannot be written to"])


def test_a_simulation_that_fails_shows_the_failed_process(qkformer, graph, monkeypatch):
    error = LavaError("process 'conv' raised ValueError", "Traceback of the process")

    def simulate(*arguments, **options):
        raise error

    monkeypatch.setattr("hardware.targets.lava.simulation.simulate", simulate)
    command = ("simulate", graph, "--target", "lava", "-o", "t.trace")
    result = qkformer(*command)
    assert (result.status, result.err) == (2, "error: process 'conv' raised ValueError\n")
    assert qkformer(*command, "--debug").err == "Traceback of the process\nerror: process 'conv' raised ValueError\n"


def test_without_lava(refused, graph, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused("simulate", graph, "--backend", "lava", "-o", "t.npz", names=["Lava is not installed", "pip install"])


def test_the_entry_point(tmp_path):
    done = subprocess.run(
        [COMMAND, "info", "gone.safetensors"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: gone.safetensors: no such file")
    assert done.stderr.count("\n") == 1
