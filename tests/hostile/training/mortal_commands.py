"""Commands that die: as `command_server.py`, but each may be killed at its N-th touch of a file in its folder.

One request a line, `{"arguments": [...], "folder": ..., "kill_at": N or null, "patience": seconds}`: kill -9 by its own
hand at the N-th opening, renaming, removing or writing, or from outside when patience has run out. A training saves
its state after every step.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from hostile.command_server import run, wait

# All that a training imports; torch._dynamo comes with the first optimizer, and takes seconds.
IMPORTED = ("qkformer.cli.commands", "qkformer.cli.train", "qkformer.training.loop", "accelerate", "torch._dynamo")
EVENTS = ("open", "os.rename", "os.remove", "os.chmod", "os.truncate", "fcntl.flock")


def main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(serve(**json.loads(line))), flush=True)


def serve(arguments: list[str], folder: str, kill_at: int | None, patience: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        out, err, touched = (Path(name) / part for part in ("out", "err", "touched"))
        touched.touch()
        child = os.fork()
        if child == 0:
            prepare(folder, kill_at, touched)
            run(arguments, folder, {}, out, err)
        status, _, _ = wait(child, patience)
        return {"status": status, "err": err.read_text(errors="replace"), "touched": touched.stat().st_size}


def prepare(folder: str, kill_at: int | None, touched: Path) -> None:
    """In the fork: count what is done to files, and die in time."""
    from qkformer.checkpoints.writing import _Remembering
    from qkformer.training.loop import train

    train.__kwdefaults__["save_every"] = 0.0
    tally, count, write = os.open(touched, os.O_WRONLY | os.O_APPEND), 0, _Remembering.write

    def touch() -> None:
        nonlocal count
        count += 1
        os.write(tally, b".")
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and (event == "fcntl.flock" or str(arguments[0]).startswith(folder)):
            touch()

    def counted(self: _Remembering, buffer: object) -> int:
        touch()
        return write(self, buffer)

    _Remembering.write = counted
    sys.addaudithook(hear)


if __name__ == "__main__":
    main()
