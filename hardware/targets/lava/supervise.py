"""Runs a Lava simulation in an interpreter of its own; whatever happens there, it ends and leaves nothing behind.

The other side, in the worker, is watch.py.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...errors import TargetError
from .space import SHARED_MEMORY, with_cause
from .undisturbed import private_folder, undisturbed
from .watch import FAILURE, PARENT, describe_exit

LOOK_EVERY = 0.1  # seconds
LOOK_FOR_STOPPED = 1.0
STOPPED = 3.0  # seconds that a process may be stopped for
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
    with private_folder("lava-") as folder:
        failure = None
        with _session(command, folder) as worker:
            for message in _messages(worker):
                if FAILURE in message:
                    summary, details = message[FAILURE]
                    failure = with_cause(summary), details  # now, while all that takes room is there
                elif on_message is not None:
                    on_message(message)
        _raise_failure(worker.returncode, folder, failure)


@contextmanager
def _session(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker, at the head of a session of its own; at the end nothing of the session remains."""
    with undisturbed() as disturbed:
        with (folder / "stderr").open("wb") as stderr:
            worker = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**_inherited(), **_environment(folder)},
                cwd=folder,  # empty: what Python looks up in its current folder is not to be the user's
                start_new_session=True,
            )
        try:
            with disturbed():
                yield worker
        finally:
            _end_session(worker.pid)
            for segment in SHARED_MEMORY.glob(f"{folder.name}-*"):
                segment.unlink(missing_ok=True)
            worker.wait()
            assert worker.stdout is not None  # a pipe
            worker.stdout.close()


def _inherited() -> dict[str, str]:
    # Lava's own modules warn; who asks for warnings as errors does not mean these. Of PYTHONPATH the worker gets what
    # is absolute: an empty or relative entry names whatever folder a process stands in, and so whatever lies there.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "PYTHONPATH")}
    folders = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
    return kept | ({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})


def _environment(folder: Path) -> dict[str, str]:
    # One thread each: the processes are the parallelism, and only a process of one thread forks safely.
    return {PARENT: str(os.getpid()), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _messages(worker: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the worker sends, until it has ended. Its exit is not collected, so that its session id stays taken."""
    assert worker.stdout is not None  # a pipe
    pipe, unread, ended, stopped = worker.stdout.fileno(), b"", False, _Stopped(worker.pid)
    while not ended:
        ended = os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        stopped.look()
        while select.select([pipe], [], [], 0 if ended else LOOK_EVERY)[0]:
            if not (chunk := os.read(pipe, 1 << 16)):
                time.sleep(0.01)  # closed: it is about to end
                break
            *lines, unread = (unread + chunk).split(b"\n")
            yield from map(json.loads, lines)
            stopped.look()


class _Stopped:
    """Tells a stopped process (SIGSTOP), for which all others wait, from a slow one. SIGCONT in time mends it."""

    def __init__(self, session: int):
        self.session = session
        self.next_look = 0.0
        self.since: dict[int, float] = {}  # process -> when it was first seen stopped

    def look(self) -> None:
        """Raise LavaError if a process of the session has been stopped for long."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + LOOK_FOR_STOPPED
        stopped = [process for process, state in _members(self.session) if state == b"T"]  # a debugger's is t
        self.since = {process: self.since.get(process, now) for process in stopped}
        for process, since in self.since.items():
            if now - since > STOPPED:
                what = "the Lava worker" if process == self.session else f"Lava's process {process}"
                raise LavaError(f"{what} was stopped by a signal and did not go on for {STOPPED:g} s; run it again")


def _end_session(session: int) -> None:
    deadline = time.monotonic() + LAST_RESORT
    while time.monotonic() < deadline and (members := list(_members(session))):
        for process, _ in members:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def _members(session: int) -> Iterator[tuple[int, bytes]]:
    """The processes of a session and their states, without the dead whose exit nobody has collected."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, owner = status.read_bytes().rpartition(b")")[2].split()[:4]  # proc_pid_stat(5)
            if int(owner) == session and state not in (b"Z", b"X"):
                yield int(status.parent.name), state


def _raise_failure(status: int, folder: Path, failure: Sequence[str] | None) -> None:
    stderr = (folder / "stderr").read_text(errors="replace").strip()
    if failure:
        summary, details = failure
        raise LavaError(summary, details or stderr)
    if status != 0:
        last_line = f": {stderr.splitlines()[-1]}" if stderr and status > 0 else ""  # a signal leaves no word
        raise LavaError(with_cause(f"the Lava worker {describe_exit(status)}{last_line}"), stderr)
