"""Several processes train as one does: two on the CPU, with gloo.

They are started by torchrun, as `accelerate launch` starts those of GPUs; for CPUs it would need MPI.
"""

import json
import subprocess
import sys

import pytest
import torch
from digits_folder import write_digits

from qkformer import inspect_checkpoint, read_metadata

pytestmark = pytest.mark.long  # each process imports all that training needs

# In float64 the order of sums shows only far behind the point, and flips no spike.
SCRIPT = """
import json, os, sys, warnings
from dataclasses import asdict
import torch
from qkformer import Recipe, get_config, train
from qkformer.training.augment import Augmentation
warnings.simplefilter("error")
torch.set_default_dtype(torch.float64)
recipe = Recipe(epochs=2, batch_size=16, threads=1, augmentation=Augmentation(affine=1.0, flip=0.2, erasing=0.2))
epochs = []
train("qkformer-digits", output=sys.argv[2], data=sys.argv[1], recipe=recipe, show_progress=False,
      save_every=0, on_epoch=lambda epoch: epochs.append(asdict(epoch)))
with open(f"{sys.argv[2]}.{os.environ.get('RANK', 0)}.json", "w") as file:
    json.dump(epochs, file)
"""
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The epochs of one process, and of each of two, and the folder of their checkpoints."""
    folder = write_digits(tmp_path_factory.mktemp("digits"), train=57)  # 3 batches of 16, and one of 9: 5 and 4
    (folder / "script.py").write_text(SCRIPT)

    def start(*command):
        command = [sys.executable, *command]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    started = [start("script.py", ".", "alone")]
    started.append(start(*LAUNCH, "script.py", ".", "both"))
    for process in started:
        output, _ = process.communicate(timeout=280)
        assert process.returncode == 0, output
    files = ("alone.0.json", "both.0.json", "both.1.json")
    return [json.loads((folder / file).read_text()) for file in files], folder


def test_two_processes_have_the_losses_of_one(runs):
    (alone, first, second), _ = runs
    assert [epoch["loss"] for epoch in first] == [epoch["loss"] for epoch in second]
    assert len(alone) == 2
    for one, both in zip(alone, first, strict=True):
        assert both["loss"] == pytest.approx(one["loss"], rel=1e-9)
        assert (both["accuracy"], both["firing_rate"]) == (one["accuracy"], one["firing_rate"])


def test_two_processes_have_the_weights_of_one(runs):
    _, folder = runs
    expected = torch.load(folder / "alone.state", weights_only=True)["model"]
    found = torch.load(folder / "both.state", weights_only=True)["model"]
    for key, tensor in found.items():
        torch.testing.assert_close(tensor, expected[key], rtol=1e-6, atol=1e-9)


def test_their_checkpoint_says_how_many_they_were(runs):
    _, folder = runs
    assert read_metadata(folder / "both")["processes"] == 2
    assert inspect_checkpoint(folder / "both").config.name == "qkformer-digits"


def test_only_one_of_two_processes_speaks(runs, tmp_path):
    _, folder = runs
    options = ["--epochs", "1", "--batch-size", "16", "--json", "train.json"]
    command = [sys.executable, *LAUNCH, "-m", "qkformer", "train", "qkformer-digits", "--data", str(folder), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out accuracy") == 2  # of the epoch, and at the end
    assert "neurons on plain PyTorch on the CPU, 2 processes" in done.stdout
    assert json.loads((tmp_path / "train.json").read_text())["epoch"] == 1
