"""One run at a time writes an output, and none over another's unless told to."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hardware.errors import InputError
from qkformer.training.outputs import Outputs

HOLDER = """
import sys, time
from pathlib import Path
from qkformer.training.outputs import Outputs
with Outputs(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def outputs(tmp_path):
    return Outputs(tmp_path / "model.safetensors")


@pytest.fixture
def holder(outputs):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, outputs.checkpoint], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_run_is_told_who_holds_the_output(outputs, holder, refuses):
    with refuses(InputError, str(outputs.checkpoint), f"process {holder.pid}", "is training into it"), outputs.locked():
        pass
    assert outputs.lock.exists()


def test_the_lock_goes_with_a_killed_process(outputs, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with outputs.locked():
        assert f"process {os.getpid()}" in outputs.lock.read_text()
    assert not outputs.lock.exists()


def test_in_one_process_too(outputs, refuses):
    with outputs.locked(), refuses(InputError, f"process {os.getpid()}"), outputs.locked():
        pass
    with outputs.locked():
        pass


def test_a_child_that_outlives_the_run_does_not_hold_it(outputs):
    """As processes that decode images may, when the run is killed."""
    with outputs.locked():
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
    try:
        with outputs.locked():
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("suffix", ["", ".state", ".log.jsonl"])
def test_what_is_there_is_replaced_only_when_told_to(suffix, outputs, refuses):
    path = outputs.checkpoint.with_name(outputs.checkpoint.name + suffix)
    path.touch()
    with refuses(InputError, str(path), "earlier training", "--resume", "--overwrite"):
        outputs.check(resume=False, overwrite=False)
    outputs.check(resume=True, overwrite=False)
    outputs.check(resume=False, overwrite=True)


def test_what_is_no_file_is_never_replaced(tmp_path, refuses):
    (tmp_path / "model.state").mkdir()
    with refuses(InputError, "model.state", "a folder"):
        Outputs(tmp_path / "model").check(resume=False, overwrite=True)
    with refuses(InputError, "/dev/null", "device"):
        Outputs(tmp_path / "/dev/null").check(resume=False, overwrite=True)


def test_resume_and_overwrite_exclude_each_other(outputs, refuses):
    with refuses(InputError, "resume", "overwrite"):
        outputs.check(resume=True, overwrite=True)


def test_folders_without_a_file_go_again(tmp_path):
    """As of a training whose data were not there."""
    outputs = Outputs(tmp_path / "runs" / "name" / "model")
    with outputs.locked():
        assert outputs.lock.exists()
    assert not any(tmp_path.iterdir())
    with outputs.locked():
        outputs.log.touch()
    assert [path.name for path in (tmp_path / "runs" / "name").iterdir()] == [outputs.log.name]
