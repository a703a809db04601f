"""The worker's side of supervise.py: Lava's processes are watched, and die with the worker, as it with its parent.

Lava forks a process for each part of a network. When one of them dies, the others wait for it for ever, and so
does whoever runs the network.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Process, connection, shared_memory
from pathlib import Path
from typing import Any, NoReturn

LOOK_EVERY = 0.2  # seconds
SETTLE = 0.1  # seconds until a process whose pipe is closed is seen to have ended
PARENT = "LAVA_WORKER_PARENT"  # environment variable: the parent's process id
FAILURE = "failure"  # the key of the message that says why a run ended: summary and details
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_as_worker(job: Callable[[Worker], None]) -> NoReturn:
    """Do the job, then end this process and all its children; an exception becomes the parent's LavaError.

    Call it from the main thread, in a process started by `run_supervised`.
    """
    worker = Worker()
    try:
        job(worker)
    except BaseException as error:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        time.sleep(SETTLE)
        worker.look()  # Lava's own exception only says that there was one
        worker.fail(f"the Lava worker raised {_one_line(error)}", traceback.format_exc())
    os._exit(0)  # a usual exit would wait for processes that may never end


class Worker:
    """The worker's line to its parent, and its eye on Lava's processes."""

    def __init__(self) -> None:
        self._id = os.getpid()
        self._folder = Path(os.environ["TMPDIR"])
        self._process: Any = None
        self._finished: set[Any] = set()
        self._messages = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what others print is no message
        _die_with(int(os.environ[PARENT]))
        os.register_at_fork(after_in_child=self._enter_child)
        threading.excepthook, sys.unraisablehook = _end_in_a_thread, _end_without_memory
        prefix = self._folder.name  # tells the parent which segments are this worker's
        shared_memory._make_filename = lambda: f"/{prefix}-{secrets.token_hex(8)}"  # type: ignore[attr-defined]  # private
        # A socket's path may have 107 characters, fewer than many a TMPDIR; names that begin with 0 are no paths.
        connection.arbitrary_address = lambda family: f"\0{prefix}-{secrets.token_hex(8)}"  # type: ignore[attr-defined]

    def send(self, message: dict[str, Any]) -> None:
        """Pass a message, anything JSON can hold, to the parent's `on_message`."""
        print(json.dumps(message), file=self._messages, flush=True)

    def watch(self, process: Any) -> None:
        """Look after the Lava processes of this one's network. Call it before the network is compiled and run.

        A timer's signal rather than a thread: only a process of one thread forks safely.
        """
        from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

        SystemProcess.run = _run_and_tell
        self._process = process
        signal.signal(signal.SIGALRM, self._look_again)
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY)

    def _look_again(self, *_signal: object) -> None:
        self.look()
        signal.setitimer(signal.ITIMER_REAL, LOOK_EVERY)  # only now: a look that interrupts a look takes its outcomes

    def look(self) -> None:
        """If a Lava process has failed, fail."""
        for name, actor in _actors(self._process):
            status = None if actor._closed else actor.exitcode  # before the outcome, which is sent earlier
            outcome = _outcome(actor)
            if outcome is None:
                self._finished.add(actor)
            elif outcome:
                error, details = outcome
                self.fail(f"Lava process {name} raised {error}", details)
            elif status is not None and actor not in self._finished:
                self.fail(f"Lava process {name} {describe_exit(status)}", "")
        self._look_at_manager()

    def _look_at_manager(self) -> None:
        """The process that Lava asks for shared memory, too: without it the run would wait, or raise something else."""
        infrastructure = _infrastructure(self._process)
        # Not among multiprocessing's active children: the next process that starts forgets those that have ended.
        shared = infrastructure and infrastructure.smm
        # Private, but of one version: lava-nc is pinned.
        manager = shared and getattr(shared._manager, "_process", None)
        status = manager.exitcode if manager else None
        if status is not None and status < 0:
            self.fail(f"Lava's process for shared memory {describe_exit(status)}", "")

    def fail(self, summary: str, details: str) -> NoReturn:
        """End this process; the kernel ends its children, and the parent raises LavaError.

        The pipe is open already: to fail takes no disk, which may be what is full.
        """
        try:
            self.send({FAILURE: [summary, details]})
        finally:
            os._exit(1)

    def _enter_child(self) -> None:
        parent, self._id = self._id, os.getpid()
        _die_with(parent)


def _end_in_a_thread(lost: threading.ExceptHookArgs) -> None:
    """A process whose thread has died would be waited for, for ever: it ends, which is seen."""
    try:
        threading.__excepthook__(lost)
    finally:
        os._exit(1)


def _end_without_memory(lost: sys.UnraisableHookArgs) -> None:
    """So does one whose thread could not even begin."""
    try:
        sys.__unraisablehook__(lost)
    finally:
        if issubclass(lost.exc_type, MemoryError):
            os._exit(1)


def describe_exit(status: int) -> str:
    """What became of a process, from its exit status as Python's subprocess gives it."""
    if status >= 0:
        return f"ended early, with exit status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(1)


def _actors(process: Any) -> Iterator[tuple[str, Any]]:
    """The operating system's processes behind Lava's, with their names; Lava starts them in this order."""
    if infrastructure := _infrastructure(process):
        names = [repr(part.name) for part in process.runtime._executable.proc_builders]
        for index, actor in enumerate(infrastructure.actors):
            yield names[index] if index < len(names) else "that keeps time", actor


def _infrastructure(process: Any) -> Any:
    """What Lava has started for a network: its processes and their shared memory. None before that."""
    runtime = process and process.runtime
    return runtime and runtime._messaging_infrastructure


def _run_and_tell(actor: Any) -> None:
    """Lava's SystemProcess.run, but sending text: not every exception survives pickling."""
    outcome = None
    try:
        Process.run(actor)
    except Exception as error:
        outcome = _one_line(error), traceback.format_exc()
    actor._cconn.send(outcome)


def _outcome(actor: Any) -> tuple[str, str] | tuple[()] | None:
    """What a Lava process sent at its end: exception and traceback, or None if all is well; () before that."""
    if actor._closed:  # by Lava, which took the outcome
        return actor._exception
    try:
        return actor._pconn.recv() if actor._pconn.poll() else ()
    except (EOFError, OSError):  # it died, and its end of the pipe with it
        return ()


def _one_line(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
