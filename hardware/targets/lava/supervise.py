"""Runs a Lava simulation in an interpreter of its own; whatever happens there, it ends and leaves nothing behind.

The other side, in the worker, is watch.py.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import TargetError
from .watch import FAILURE, PARENT, describe_exit

LOOK_EVERY = 0.1  # seconds
NO_SPACE = os.strerror(errno.ENOSPC)
LAST_RESORT = 5.0  # seconds until a process that SIGKILL does not end is given up


class LavaError(TargetError):
    """The simulation failed. `summary` is one line, `details` what the failed process had to say."""


def run_supervised(command: Sequence[str], *, on_message: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Run a worker (see `watch.run_as_worker`) to its end; `on_message` receives what it sends.

    Afterwards, also after an error or Ctrl-C, no process and no shared memory of the worker's remains. If this
    process is killed, the kernel kills the worker with it.

    Raises:
        LavaError: the worker or one of Lava's processes raised, was killed or ended early; or this is not Linux.
    """
    if sys.platform != "linux":
        raise LavaError(f"Lava simulations run on Linux only, not on {sys.platform}")
    with tempfile.TemporaryDirectory(prefix="lava-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "stderr").open("wb") as stderr:
            worker = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**_inherited(), **_environment(folder)},
                start_new_session=True,
            )
        failure = None
        try:
            for message in _messages(worker):
                if FAILURE in message:
                    failure = message[FAILURE]
                elif on_message is not None:
                    on_message(message)
        finally:
            _end_session(worker.pid)
            for segment in Path("/dev/shm").glob(f"{folder.name}-*"):
                segment.unlink()
            worker.wait()
            assert worker.stdout is not None  # a pipe
            worker.stdout.close()
        _raise_failure(worker.returncode, folder, failure)


def _inherited() -> dict[str, str]:
    # Lava's own modules warn; who asks for warnings as errors does not mean these.
    return {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}


def _environment(folder: Path) -> dict[str, str]:
    # One thread each: the processes are the parallelism, and only a process of one thread forks safely.
    return {PARENT: str(os.getpid()), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _messages(worker: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the worker sends, until it has ended. Its exit is not collected, so that its session id stays taken."""
    assert worker.stdout is not None  # a pipe
    pipe, unread, ended = worker.stdout.fileno(), b"", False
    while not ended:
        ended = os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        while select.select([pipe], [], [], 0 if ended else LOOK_EVERY)[0]:
            if not (chunk := os.read(pipe, 1 << 16)):
                time.sleep(0.01)  # closed: it is about to end
                break
            *lines, unread = (unread + chunk).split(b"\n")
            yield from map(json.loads, lines)


def _end_session(session: int) -> None:
    deadline = time.monotonic() + LAST_RESORT
    while time.monotonic() < deadline and (members := list(_members(session))):
        for process in members:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def _members(session: int) -> Iterator[int]:
    """The processes of a session, without the dead whose exit nobody has collected."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, owner = status.read_bytes().rpartition(b")")[2].split()[:4]  # proc_pid_stat(5)
            if int(owner) == session and state not in (b"Z", b"X"):
                yield int(status.parent.name)


def _raise_failure(status: int, folder: Path, failure: Sequence[str] | None) -> None:
    stderr = (folder / "stderr").read_text(errors="replace").strip()
    if failure:
        summary, details = failure
        full = " (is /dev/shm or the folder of temporary files full?)" if NO_SPACE in summary else ""
        raise LavaError(summary + full, details or stderr)
    if status != 0:
        last_line = f": {stderr.splitlines()[-1]}" if stderr else ""
        raise LavaError(f"the Lava worker {describe_exit(status)}{last_line}", stderr)
