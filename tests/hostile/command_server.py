"""Runs commands, each in a fork of a process that has imported everything: a few hundredths of a second a command.

Reads one request a line, `{"arguments": [...], "folder": ..., "environment": {...}, "patience": seconds}`, and answers
with one line: status, what was printed, the peak of the resident memory in bytes, and whether it had to be killed.
"""

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = ("compare", "export", "info", "simulate", "targets", "train", "verify")
MOST_MEMORY = 4 << 30  # bytes that a command may ask for: the machine is not to be brought down by the test


def main() -> None:
    import qkformer.cli.commands  # noqa: F401

    with contextlib.suppress(ImportError):
        import datasets  # noqa: F401 (seconds)
    for name in COMMANDS:
        importlib.import_module(f"qkformer.cli.{name}")
    for line in sys.stdin:
        print(json.dumps(serve(**json.loads(line))), flush=True)


def serve(arguments: list[str], folder: str, environment: dict[str, str], patience: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name) / "out", Path(name) / "err"
        child = os.fork()
        if child == 0:
            run(arguments, folder, environment, out, err)
        status, peak, killed = wait(child, patience)
        return {
            "status": status,
            "out": out.read_text(errors="replace"),
            "err": err.read_text(errors="replace"),
            "peak": peak,
            "killed": killed,
        }


def run(arguments: list[str], folder: str, environment: dict[str, str], out: Path, err: Path) -> None:
    """In the fork: what the shell would start."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    for number, path in (1, out), (2, err):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["qkformer", *arguments]
    status: object = 0
    try:
        from qkformer.cli import main as command

        command()
    except SystemExit as stop:
        status = stop.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else status is not None)


def wait(child: int, patience: float) -> tuple[int, int, bool]:
    """Exit status, peak of memory, and whether patience ran out: then all that the command started is killed."""
    deadline, killed = time.monotonic() + patience, False
    while True:
        found, ended, usage = os.wait4(child, os.WNOHANG)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(ended), usage.ru_maxrss << 10, killed
        if time.monotonic() > deadline and not killed:
            os.killpg(child, signal.SIGKILL)
            killed = True
        time.sleep(0.002)


if __name__ == "__main__":
    main()
