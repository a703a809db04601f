"""What is asked of a training: refused before anything is made, in one line that names the option and its limit."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import torch
from hostile.case import Case, check_case
from hostile.checkpoints.files import write_weights

from qkformer import create_model, save_checkpoint
from qkformer.checkpoints.checkpoint import find_checkpoint

PATIENCE = 200  # seconds until a training must have begun
TRAIN = ("train", "qkformer-digits", "-o", "out/m")


def options(*given, names=()):
    return Case((*TRAIN, *given), names)


def other_weights(folder):
    save_checkpoint(create_model("qkformer-digits", num_classes=3), folder / "other")


def earlier(*suffixes):
    def make(folder):
        (folder / "out").mkdir()
        for suffix in suffixes:
            shutil.copy(find_checkpoint("qkformer-digits"), folder / f"out/m{suffix}")

    return make


CASES = {
    "workers: negative": options("--workers", "-1", names=("workers", "-1", "at least 0")),
    "workers: a million": options("--workers", "1000000", names=("workers", "1000000", "at most 256")),
    "threads: a million": options("--threads", "1000000", names=("threads", "1000000", "at most 1,024")),
    "epochs: no end": options("--epochs", "1000000000000", names=("epochs", "at most 100,000")),
    "batch size: a million million": options("--batch-size", "1000000000000", names=("batch_size", "at most")),
    "accumulation: none": options("--accumulation", "0", names=("accumulation", "at least 1")),
    "time steps: none": options("--time-steps", "0", names=("time_steps", "at least 1")),
    "time steps: a thousand million": options("--time-steps", "1000000000", names=("time_steps", "at most 1,024")),
    "learning rate: negative": options("--learning-rate", "-1", names=("learning_rate", "-1", "at least 0")),
    "learning rate: NaN": options("--learning-rate", "nan", names=("learning_rate", "nan")),
    "learning rate: infinite": options("--learning-rate", "inf", names=("learning_rate", "inf", "at most 1e+30")),
    "seed: negative": options("--seed", "-1", names=("seed", "-1", "at least 0")),
    "seed: 2^64": options("--seed", str(2**64), names=("seed", str(2**64), "at most")),
    "precision": options("--precision", "fp8", names=("precision", "fp8", "bf16")),
    "backend": options("--backend", "abacus", names=("abacus", "triton")),
    "label: of digits": options("--label", "coarse", names=("label", "digits")),
    "from: no such checkpoint": options("--from", "none", names=("none", "no such file")),
    "from: a checkpoint of other weights": Case(
        (*TRAIN, "--from", "other"), ("other", "qkformer-digits", "head.weight"), other_weights
    ),
    "from: NaN": Case(
        (*TRAIN, "--from", "x"),
        ("x", "head.bias", "NaN"),
        lambda folder: write_weights(folder / "x", lambda found: found["head.bias"].fill_(torch.nan)),
    ),
    "no such configuration": Case(("train", "nosuch"), ("nosuch", "qkformer-digits")),
    "a path as a configuration": Case(("train", "../../x"), ("../../x", "qkformer-digits")),
    "an earlier checkpoint": Case(TRAIN, ("out/m ", "--resume", "--overwrite"), earlier("")),
    "an earlier state": Case(TRAIN, ("out/m.state", "--resume", "--overwrite"), earlier(".state")),
    "both of them": Case(TRAIN, ("out/m, out/m.state", "--overwrite"), earlier("", ".state")),
    "both wishes": options("--resume", "--overwrite", names=("resume", "overwrite")),
    "nothing to resume": options("--resume", names=("out/m.state", "no state to resume from")),
    "a state that is a checkpoint": Case((*TRAIN, "--resume"), ("out/m.state", "damaged"), earlier(".state")),
    "a device as the output": Case((*TRAIN[:2], "-o", "/dev/null", "--overwrite"), ("/dev/null", "device")),
}  # fmt: skip
SHORT = ("workers: negative", "from: a checkpoint of other weights", "no such configuration", "an earlier checkpoint")
NOTHING_MADE = ("no such configuration", "a path as a configuration", "seed: negative", "threads: a million")


@pytest.mark.parametrize(
    "name", [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in CASES]
)
def test_train(name, check, tmp_path):
    check(CASES[name])
    if name in NOTHING_MADE:
        assert list(tmp_path.iterdir()) == []


LAUNCHED = {
    "RANK alone": ({"RANK": "1"}, ("RANK=1", "without WORLD_SIZE")),
    "WORLD_SIZE alone": ({"WORLD_SIZE": "2"}, ("WORLD_SIZE=2", "without RANK")),
    "LOCAL_RANK alone": ({"LOCAL_RANK": "3"}, ("LOCAL_RANK=3", "without RANK, WORLD_SIZE")),
    "RANK in words": ({"RANK": "first", "WORLD_SIZE": "2"}, ("RANK='first'", "integer")),
    "RANK too high": (
        {"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
        ("RANK=2", "below WORLD_SIZE=2"),
    ),
}


@pytest.mark.parametrize("name", ["RANK alone", *(pytest.param(n, marks=pytest.mark.long) for n in [*LAUNCHED][1:])])
def test_half_of_a_launcher(name, command):
    environment, names = LAUNCHED[name]
    check_case(Case(TRAIN, names), command(*TRAIN, **environment))


@pytest.mark.long
def test_two_trainings_into_one_output(command, sixteen_digits, tmp_path):
    """The second is told of the first; when that is killed, the output is free at once."""
    first = subprocess.Popen(
        [sys.executable, "-m", "qkformer", *TRAIN],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "out/m.lock").exists():
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        check_case(Case(TRAIN, ("out/m", f"process {first.pid}", "is training into it")), command(*TRAIN))
    finally:
        first.kill()
        first.wait()
    small = ("--data", sixteen_digits, "--epochs", "1", "--batch-size", "8")
    outcome = command(*TRAIN, *small)
    assert outcome.status == 0, outcome
