"""Ctrl-C, as the terminal sends it: status 130, and nothing is left running or in shared memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = Path(sys.executable).with_name("qkformer")
STARTED = 3  # processes: the worker, Lava's runtime, and one of the network
PATIENCE = 120  # seconds until it must be
PROMPT = 10  # seconds in which an interrupted command must end


def is_alive(process):
    """Whether a process still does anything: a zombie only waits for somebody to ask how it ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def shared_memory(processes):
    """Names under /dev/shm that these processes have mapped."""
    found = set()
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= {Path(line.split(maxsplit=5)[5]) for line in lines if "/dev/shm/" in line}
    return found


@pytest.mark.parametrize("command", ["demo", "simulate"])
@pytest.mark.long  # tests/hostile/interrupts has the quick ones
def test_interrupted_in_lava(command, graph, tmp_path, lava):
    arguments = {
        "demo": ["demo", "--images", "360"],
        "simulate": ["simulate", graph, "--backend", "lava", "--images", "360", "-o", "t.npz"],
    }[command]
    started = subprocess.Popen(
        [COMMAND, *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    try:
        children, deadline = [], time.monotonic() + PATIENCE
        while (
            not (len(children) >= STARTED and shared_memory(children))
            and time.monotonic() < deadline
            and started.poll() is None
        ):
            children = psutil.Process(started.pid).children(recursive=True)
            time.sleep(0.1)
        assert len(children) >= STARTED, started.poll()
        segments = shared_memory(children)
        assert segments
        interrupted_at = time.monotonic()
        os.killpg(started.pid, signal.SIGINT)
        _, errors = started.communicate(timeout=60)
        assert time.monotonic() - interrupted_at < PROMPT
    finally:
        started.kill()
        started.wait()
        started.stderr.close()
    assert started.returncode == 130
    assert errors == "interrupted\n"
    assert [child for child in children if is_alive(child)] == []
    assert [segment for segment in segments if segment.exists()] == []
    assert not (tmp_path / "t.npz").exists()
    assert not (tmp_path / "runs/demo/parity.json").exists()
