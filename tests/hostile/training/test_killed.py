"""kill -9 and a full disk at any moment of a training: what is resumed ends in the weights of an uninterrupted run."""

import json
import os
import random
import signal
import subprocess
import time

import pytest
import torch
from amount import first_of

from qkformer import load_checkpoint, read_metadata

pytestmark = pytest.mark.long  # the server that the trainings fork from imports all that training needs
KILLED = -signal.SIGKILL
KILLS = 50
FULL_DISKS = 12
NAMES = {"model", "model.state", "model.log.jsonl"}
MEGABYTE = 1 << 20
FIGURES = ("epoch", "epochs", "loss", "accuracy", "firing_rate")


@pytest.fixture(scope="module")
def whole(training, tmp_path_factory):
    """The uninterrupted run: its folder, how often it touches a file, and its seconds."""
    folder, started = tmp_path_factory.mktemp("whole"), time.monotonic()
    end = training(folder)
    assert end.status == 0, end
    assert {path.name for path in folder.iterdir()} == NAMES
    return folder, end.touched, time.monotonic() - started


def assert_equal_runs(folder, other):
    """Weights bit for bit, in checkpoint and state; figures; every epoch in the log."""
    found, expected = (load_checkpoint(place / "model")[0].state_dict() for place in (folder, other))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    metadata, theirs = (read_metadata(place / "model") for place in (folder, other))
    assert [metadata[name] for name in FIGURES] == [theirs[name] for name in FIGURES]
    states = [torch.load(place / "model.state", weights_only=True) for place in (folder, other)]
    assert all(torch.equal(states[0]["model"][key], tensor) for key, tensor in states[1]["model"].items())
    assert states[0]["at"] | {"seconds": 0} == states[1]["at"] | {"seconds": 0}
    logs = [
        [json.loads(line) for line in (place / "model.log.jsonl").read_text().splitlines()] for place in (folder, other)
    ]
    assert [[line.get(name) for name in FIGURES] for line in logs[0]] == [
        [line.get(name) for name in FIGURES] for line in logs[1]
    ]  # fmt: skip


def go_on(training, folder):
    """Resume what was killed; before there was a state, one line says that there is none, and the run begins anew."""
    end = training(folder, "--resume")
    if end.status == 2:
        assert "model.state: no state to resume from" in end.err, end
        assert not (folder / "model.state").exists()
        end = training(folder, "--overwrite")
    assert end.status == 0, end


@pytest.mark.parametrize("attempt", first_of(12, range(KILLS)))
def test_killed_at_any_moment(attempt, training, whole, tmp_path):
    """Three of four at a touch of a file, saves included; else at any time. Every third is killed again, resuming."""
    reference, touched, seconds = whole
    seed = random.randrange(1 << 32)  # anew each time: it must hold at every moment
    chance = random.Random(seed)

    def moment():
        if attempt % 4 < 3:
            return {"kill_at": chance.randint(1, touched)}
        return {"patience": chance.uniform(0, seconds)}

    ends = [training(tmp_path, **moment())]
    if attempt % 3 == 0:
        ends.append(training(tmp_path, "--resume", **moment()))
    assert ends[0].status in (KILLED, 0), (seed, ends)
    go_on(training, tmp_path)
    assert_equal_runs(tmp_path, reference)
    assert not (tmp_path / "model.lock").exists(), seed


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of 32 MB, which can be full."""
    place = tmp_path_factory.mktemp("small-disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("attempt", first_of(4, range(FULL_DISKS)))
def test_a_full_disk(attempt, training, whole, small_disk):
    """The old state and checkpoint survive, one line names the file, and no other is left; then it goes on."""
    reference, touched, _ = whole
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    folder = small_disk / str(attempt)
    folder.mkdir()
    training(folder, kill_at=chance.randint(touched // 2, touched))
    had = {path.name for path in folder.iterdir()}
    for name in had - NAMES:
        (folder / name).unlink()  # of the killed one, half written
    space = os.statvfs(small_disk)
    left = chance.randint(0, 9 * MEGABYTE)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - left)))
    end = training(folder, "--resume")
    filler.unlink()
    if end.status:
        assert end.status == 2, (seed, end)
        assert end.err.count("\n") == 1, end
        assert end.err.startswith(f"error: {folder}/model"), end
        assert "No space left on device" in end.err
    assert {path.name for path in folder.iterdir()} <= NAMES, seed
    assert (folder / "model.state").exists()
    go_on(training, folder)
    assert_equal_runs(folder, reference)
    for path in folder.iterdir():
        path.unlink()
