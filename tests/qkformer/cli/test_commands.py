"""What each command prints, writes and returns."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from digits_folder import write_mixed_folder

import hardware
from export import quantize
from qkformer import create_model, get_config, load_checkpoint, load_data, read_metadata, record_spikes, save_checkpoint
from qkformer.data import load_images

COMMAND = Path(sys.executable).with_name("qkformer")
README = (Path(__file__).parents[3] / "README.md").read_text()
PARITY_FIELDS = {"mismatches", "compared", "accuracy", "versions", "populations", "first_divergence"}
POPULATION_FIELDS = {"name", "neurons", "spikes", "compared", "mismatches"}
VERSIONS = {"python", "qkformer", "torch", "numpy", "nir"}.union(*(t.packages for t in hardware.targets().values()))


def record(path, command):
    """A --json file: every one has the command and the versions."""
    found = json.loads(Path(path).read_text())
    assert found["command"] == command
    assert set(found["versions"]) == VERSIONS
    return found


def parity(path):
    """A parity.json: the documented fields, and totals that are the sums of the parts."""
    found = json.loads(Path(path).read_text())
    assert set(found) >= PARITY_FIELDS
    for population in found["populations"]:
        assert set(population) >= POPULATION_FIELDS
    assert found["compared"] == sum(p["compared"] for p in found["populations"])
    assert found["mismatches"] == sum(p["mismatches"] for p in found["populations"])
    return found


def test_info_of_a_configuration_that_lowers(qkformer):
    result = qkformer("info", "qkformer-digits", "--json", "info.json")
    assert result.status == 0
    assert "288,234" in result.out
    assert "stage1.0.tssa.mask           Conv2d + LIF\n" in result.out
    found = record("info.json", "qkformer info qkformer-digits --json info.json")
    assert found["config"]["name"] == "qkformer-digits"
    assert found["parameters"] == 288234
    assert set(found["lowering"]) == {*found["populations"], "output"}
    assert found["lowering"]["output"] == ["Conv2d", "Output"]
    assert sum(found["nir_nodes"].values()) == 45
    assert found["not_exportable"] is None


def test_info_of_a_checkpoint_has_its_metadata(qkformer):
    path = Path(sys.modules["qkformer"].__file__).parent / "checkpoints/qkformer-digits.safetensors"
    assert qkformer("info", path, "--json", "info.json").status == 0
    found = record("info.json", f"qkformer info {path} --json info.json")
    assert found["metadata"] == json.loads(json.dumps(read_metadata(path)))
    assert found["metadata"]["recipe"]["seed"] == 0


def test_info_of_a_published_model_counts_its_gates(qkformer):
    result = qkformer("info", "qkformer-cifar10", "--json", "info.json")
    assert result.status == 0
    assert "6,706,234" in result.out
    found = json.loads(Path("info.json").read_text())
    assert set(found["lowering"]) >= {"stage1.0.tssa.mask", "patch_embed2.proj4_lif", "stage3.1.mlp.mlp2_lif"}
    before = found["lowering"]["patch_embed2.proj4_lif"]
    assert before[0] == "Conv2d"
    assert re.fullmatch(r"NIRGraph of \d+ nodes, [\d,]+ gates", before[1])
    assert before[2:] == ["LIF"]


def test_info_of_a_published_file_says_what_it_was_recognized_by(qkformer):
    weights = {f"module.{key}": value for key, value in create_model("qkformer-cifar100").state_dict().items()}
    torch.save({"model": weights}, "published.pth.tar")
    result = qkformer("info", "published.pth.tar")
    assert result.status == 0
    text = " ".join(result.out.split())
    for part in ("qkformer-cifar100", "wrapped as 'model'", "prefix 'module.'", "recognized by its keys and shapes"):
        assert part in text


def test_info_prints_firing_rates_on_images(qkformer, refused):
    result = qkformer("info", "qkformer-digits", "--data", "digits", "--images", 4, "--json", "info.json")
    assert result.status == 0
    assert "samples run alone" in result.out
    images, _ = load_data("digits", "test")
    model, _ = load_checkpoint("qkformer-digits")
    with torch.no_grad(), record_spikes(model) as trace:
        model(images[:4])
    rates = json.loads(Path("info.json").read_text())["firing_rates"]
    assert rates == {name: spikes.mean() for name, spikes in trace.items()}
    assert rates["stage1.0.tssa.q_lif"] > 0
    refused("info", "qkformer-cifar10", "--data", "digits", names=["qkformer-cifar10", "checkpoint"])


def test_info_says_what_cannot_be_exported(qkformer):
    result = qkformer("info", "qkformer-cifar100-pre-activation", "--json", "info.json")
    assert result.status == 0
    found = json.loads(Path("info.json").read_text())
    assert "pre-activation" in found["not_exportable"]
    assert found["lowering"] == found["nir_nodes"] == {}
    assert "none: " in result.out


def test_train_resumes_and_writes_a_checkpoint(qkformer, few_digits):
    options = ("--data", few_digits, "--batch-size", "24", "--epochs", "1", "--json", "train.json")
    result = qkformer("train", "qkformer-digits", *options)
    assert result.status == 0
    assert "qkformer-digits: neurons on plain PyTorch on the CPU, 1 process" in result.out
    assert "epoch 1/1: loss" in result.out
    assert "runs/qkformer-digits/model.safetensors: held-out accuracy" in result.out
    found = record("train.json", f"qkformer train qkformer-digits {' '.join(options)}")
    assert found["recipe"]["epochs"] == found["epoch"] == 1
    assert 0 <= found["accuracy"] <= 1
    metadata = read_metadata(found["checkpoint"])
    assert metadata["command"] == found["command"]
    assert load_checkpoint(found["checkpoint"])[1] == get_config("qkformer-digits")

    weights = Path(found["checkpoint"]).read_bytes()
    assert qkformer("train", "qkformer-digits", *options, "--resume").status == 0
    assert Path(found["checkpoint"]).read_bytes() == weights  # nothing was left to do


def test_train_goes_on_from_a_checkpoint_on_quantized_weights(qkformer, few_digits):
    options = ("--data", few_digits, "--from", "qkformer-digits", "--batch-size", "36", "--epochs", "1")
    assert qkformer("train", "qkformer-digits", *options, "--learning-rate", "1e-4", "--qat").status == 0
    model, _ = load_checkpoint("runs/qkformer-digits/model.safetensors")
    metadata = read_metadata("runs/qkformer-digits/model.safetensors")
    assert (metadata["initial"]["name"], metadata["wrap"]) == ("qkformer-digits.safetensors", "quantization_aware")
    fixed = quantize(model, load_images(few_digits, "train", 256)[0])
    images, labels = load_images(few_digits, "test")
    assert metadata["accuracy"] == (fixed(images).argmax(1) == labels).double().mean()
    assert 0 < metadata["firing_rate"] < 0.5
    before = load_checkpoint("qkformer-digits")[0].state_dict()
    moved = [not torch.equal(tensor, before[key]) for key, tensor in model.named_parameters()]
    assert any(moved)


def test_a_model_trained_on_images_of_mixed_sizes_runs_on_them(qkformer, tmp_path):
    """Train, info, export, simulate and verify take one folder, and see the same images."""
    data = ("--data", write_mixed_folder(tmp_path / "mixed"))
    model = "runs/qkformer-digits/model.safetensors"
    options = ("--epochs", 1, "--batch-size", 20, "--json", "train.json")
    assert qkformer("train", "qkformer-digits", *data, *options).status == 0
    trained = json.loads(Path("train.json").read_text())["accuracy"]
    result = qkformer("info", model, *data, "--images", 20)
    assert result.status == 0
    assert f"accuracy {100 * trained:.2f} %" in result.out
    assert qkformer("export", model, *data, "-o", "model.nir").status == 0
    assert qkformer("simulate", "model.nir", *data, "--images", 2, "-o", "t.npz").status == 0
    assert qkformer("verify", model, *data, "--images", 2, "--against", "interpreter").status == 0
    assert parity("runs/verify/parity.json")["mismatches"] == 0
    graph = hardware.read_graph("model.nir")
    images, _ = load_images(str(data[1]), "test", 2, channels=1, image_size=8)
    expected = hardware.interpret(graph, hardware.encoding_of(graph).encode(images))
    assert hardware.compare(expected, hardware.SpikeTrace.load("t.npz")).mismatches == 0


def test_one_file_of_arrays_serves_every_command(qkformer, refused):
    arrays = {}
    for split, count in (("train", 32), ("test", 20)):
        images, labels = load_data("digits", split)
        arrays |= {f"{split}_images": images[:count].numpy(), f"{split}_labels": labels[:count].numpy()}
    np.savez("digits.npz", **arrays)
    options = ("--data", "digits.npz", "--epochs", 1, "--batch-size", 16, "--json", "train.json")
    assert qkformer("train", "qkformer-digits", *options).status == 0
    model = "runs/qkformer-digits/model.safetensors"
    accuracy = json.loads(Path("train.json").read_text())["accuracy"]
    result = qkformer("info", model, "--data", "digits.npz", "--images", 20)
    assert f"accuracy {100 * accuracy:.2f} %" in result.out
    assert qkformer("export", model, "--data", "digits.npz", "-o", "model.nir").status == 0
    np.savez("few.npz", images=arrays["test_images"])
    missing = ["few.npz", "train_images, train_labels", "missing"]
    refused("train", "qkformer-digits", "--data", "few.npz", "--overwrite", names=missing)


def test_commands_read_folders_of_images(qkformer, few_digits):
    result = qkformer("info", "qkformer-digits", "--data", few_digits, "--images", "30", "--json", "info.json")
    assert result.status == 0
    (accuracy,) = re.findall(r"accuracy ([\d.]+) %", result.out)
    assert float(accuracy) >= 90


def test_export_prints_the_certificate(qkformer, graph):
    result = qkformer("export", "qkformer-digits", "-o", "new/model.nir", "--json", "export.json")
    assert result.status == 0
    assert "new/model.nir: 45 nodes (21 Conv2d, 21 LIF" in result.out
    assert "Certificate" in result.out
    found = record("export.json", "qkformer export qkformer-digits -o new/model.nir --json export.json")
    assert found["certified"] is True
    assert found["nodes"]["LIF"] == 21
    assert [layer["name"] for layer in found["certificate"]][-1] == "head"
    assert all(layer["sum_bound"] < layer["limit"] for layer in found["certificate"])
    inputs = hardware.encoding_of(hardware.read_graph(graph)).encode(load_data("digits", "test")[0][:2])
    once, again = (hardware.interpret(hardware.read_graph(path), inputs) for path in (graph, "new/model.nir"))
    assert hardware.compare(once, again).mismatches == 0


@pytest.mark.parametrize("backend", ["interpreter", pytest.param("lava", marks=pytest.mark.long)])
def test_simulate_writes_a_trace(backend, qkformer, graph, lava):
    result = qkformer("simulate", graph, "--backend", backend, "--images", 3, "-o", "trace.npz", "--json", "s.json")
    assert result.status == 0
    found = record("s.json", f"qkformer simulate {graph} --backend {backend} --images 3 -o trace.npz --json s.json")
    trace = hardware.SpikeTrace.load("trace.npz")
    assert found["backend"] == backend
    assert found["images"] == 3
    assert found["populations"] == len(trace) == 22
    assert found["spikes"] == sum(np.count_nonzero(values) for values in trace.values())
    assert f"trace.npz: 22 populations, {found['spikes']:,} spikes" in result.out
    network = hardware.read_graph(graph)
    encoding = hardware.encoding_of(network)
    images, labels = load_data("digits", "test")
    expected = hardware.interpret(network, encoding.encode(images[:3]))
    assert hardware.compare(expected, trace).mismatches == 0
    right = encoding.logits(expected["output"]).argmax(1) == labels[:3].numpy()
    assert found["accuracy"] == right.mean()


@pytest.mark.parametrize("sections", [pytest.param(0, marks=pytest.mark.long), 2])
def test_simulate_in_sections_or_processes(sections, qkformer, graph, lava):
    options = ("--backend", "lava", "--images", 2, "--sections", sections, "-o", "t.npz", "--json", "s.json")
    assert qkformer("simulate", graph, *options).status == 0
    assert json.loads(Path("s.json").read_text())["sections"] == sections
    images, _ = load_data("digits", "test")
    network = hardware.read_graph(graph)
    expected = hardware.interpret(network, hardware.encoding_of(network).encode(images[:2]))
    assert hardware.compare(expected, hardware.SpikeTrace.load("t.npz")).mismatches == 0


@pytest.mark.long
def test_float_export_runs_in_lavas_floating_point_models(qkformer, lava):
    assert qkformer("export", "qkformer-digits", "--float", "-o", "float.nir", "--json", "e.json").status == 0
    found = json.loads(Path("e.json").read_text())
    assert (found["certified"], found["certificate"], found["gates"]) == (False, [], 0)
    options = ("--backend", "lava", "--floating-point", "--images", 1, "-o", "t.npz", "--json", "s.json")
    result = qkformer("simulate", "float.nir", *options)
    assert result.status == 0
    assert "spikes differ from the graph in float64" in result.out
    flips = json.loads(Path("s.json").read_text())["flips"]
    assert all(margin < 1e-6 for margins in flips.values() for margin in margins)
    assert hardware.SpikeTrace.load("t.npz")["output"].dtype == np.float64
    refused = qkformer("simulate", "float.nir", "-o", "t.npz")
    assert refused.status == 2
    assert "is not an integer" in refused.err


def test_export_counts_gates_and_asks_before_a_large_graph(qkformer):
    save_checkpoint(create_model("qkformer-10-384").eval(), "large.safetensors")
    np.savez("images.npz", images=np.random.default_rng(0).normal(size=(1, 3, 224, 224)))
    result = qkformer("export", "large.safetensors", "--data", "images.npz", "-o", "large.nir")
    assert result.status == 2
    assert "million gates" in result.err
    assert "--allow-large" in result.err
    assert not Path("large.nir").exists()


def test_simulate_images_of_a_file(qkformer, graph):
    images, _ = load_data("digits", "test")
    np.savez("digits.npz", images=images[:2].numpy())
    assert qkformer("simulate", graph, "--data", "digits.npz", "-o", "t.npz", "--json", "s.json").status == 0
    found = json.loads(Path("s.json").read_text())
    assert found["images"] == 2
    assert found["accuracy"] is None
    assert hardware.SpikeTrace.load("t.npz")["output"].shape == (4, 2, 10)


def lines_of_readme():
    """The demo's output as the README shows it, but for lines that the terminal breaks."""
    (sample,) = re.findall(r"```\n( population .*?)```", README, re.DOTALL)
    shown = {" ".join(line.split()) for line in sample.splitlines() if set(line) - set(" ─.")}
    return {line for line in shown if not line.startswith("Lava")}


@pytest.mark.long
def test_demo_fails_on_one_wrong_spike(qkformer, one_wrong_spike, lava):
    result = qkformer("demo", "--images", 2)
    assert result.status == 1
    assert "\n1 of 1,155,232 spikes differ\n" in result.out


@pytest.mark.long
def test_demo_as_a_user_types_it(tmp_path, lava):
    done = subprocess.run(
        [COMMAND, "demo", "--json", "demo.json"], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.endswith("0 of 9,241,856 spikes differ\n")
    for part in ("288,234 parameters", "360 held-out digits", "Certificate", "89 processes, 89 time steps"):
        assert part in done.stdout
    assert lines_of_readme() <= {" ".join(line.split()) for line in done.stdout.splitlines()}
    found = record(tmp_path / "demo.json", "qkformer demo --json demo.json")
    assert found["held_out_accuracy"]["float"] >= 0.98
    assert abs(found["held_out_accuracy"]["float"] - found["held_out_accuracy"]["fixed"]) <= 0.01
    assert found["nir_nodes"] == {"Conv2d": 21, "LIF": 21, "SumPool2d": 1, "Input": 1, "Output": 1}
    assert (found["lava_processes"], found["time_steps"]) == (89, 89)
    assert all(layer["certified"] for layer in found["certificate"])
    assert parity(tmp_path / "runs/demo/parity.json")["mismatches"] == 0
    assert (tmp_path / "runs/demo/raster.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["verify", "--help"]])
def test_help(arguments, qkformer):
    result = qkformer(*arguments)
    assert result.status == 0
    assert "Usage: qkformer" in result.out


def test_version(qkformer):
    assert qkformer("--version").out == "qkformer 0.1.0\n"
