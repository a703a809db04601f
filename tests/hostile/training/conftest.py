"""Trainings of a second that may be killed at any moment."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from qkformer import load_digits

PATIENCE = 120  # seconds that a training of a second may take on a busy machine
FOUR_STEPS = ("--epochs", "2", "--batch-size", "8", "--time-steps", "1")


class End(NamedTuple):
    """How a command ended, what it said, and how often it touched a file."""

    status: int
    err: str
    touched: int


@pytest.fixture(scope="session")
def sixteen_digits(tmp_path_factory):
    """A file of 16 images to train on and 8 to test on: two steps an epoch."""
    path, arrays = tmp_path_factory.mktemp("sixteen") / "digits.npz", {}
    for split, count in (("train", 16), ("test", 8)):
        images, labels = load_digits(split)
        arrays |= {f"{split}_images": images[:count].numpy(), f"{split}_labels": labels[:count].numpy()}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def mortal_server():
    server = subprocess.Popen(
        [sys.executable, "-m", "hostile.training.mortal_commands"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    yield server
    server.stdin.close()
    server.stdout.close()
    server.wait()


@pytest.fixture(scope="session")
def training(mortal_server, sixteen_digits):
    """training(folder, "--resume", kill_at=7): four steps into folder/model, a state after each."""

    def training(folder, *options, kill_at=None, patience=PATIENCE):
        arguments = ["train", "qkformer-digits", "--data", str(sixteen_digits), "-o", f"{folder}/model", *FOUR_STEPS]
        request = {"arguments": [*arguments, *options], "folder": str(folder), "kill_at": kill_at, "patience": patience}
        print(json.dumps(request), file=mortal_server.stdin, flush=True)
        return End(**json.loads(mortal_server.stdout.readline()))

    return training
