"""A small network that runs in Lava for hours, in a process of its own, to be struck wherever it is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hostile.leftovers import SHARED_MEMORY, Witness, patience, processes

HANGS = 240  # seconds, on a machine however busy

CALLER = """
import sys
import numpy as np
from small_graphs import branched
import hardware
from hardware.errors import UserError
from hardware.targets.lava.simulation import simulate

steps, images, sections = map(int, sys.argv[1:])
try:
    inputs = np.ones((steps, images, 1, 2, 2), int)
    trace = simulate(branched(), inputs, sections=sections, progress=lambda done, steps: print("runs", flush=True))
    assert hardware.compare(hardware.interpret(branched(), inputs), trace).mismatches == 0
    print("equal")
except UserError as error:
    print("error:", getattr(error, "summary", error))
    sys.exit(2)
"""


class Run:
    """The caller, its worker and Lava's processes. prepare: what the shell does before, mounts in a room of its own."""

    def __init__(self, folder: Path, sections: int, steps: int = 4, images: int = 1_000_000, prepare: str = ""):
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        (folder / "caller.py").write_text(CALLER)
        command = [sys.executable, str(folder / "caller.py"), str(steps), str(images), str(sections)]
        if prepare:
            own = ["unshare", "--mount"] if "mount" in prepare else []
            command = [*own, "sh", "-c", f'{prepare}; exec "$@"', "sh", *command]
        self.out = folder / "out"
        paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
        self.witness = Witness(self.temporary)
        with self.out.open("w") as out:
            self.caller = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": paths},
                cwd=folder,
            )

    def wait_for(self, stage: str):
        """started: there is a worker; channels: there is shared memory; running: images are done."""
        reached = {
            "started": lambda: self.worker() is not None,
            "channels": lambda: self.witness.segments() != [],
            "running": lambda: "runs" in self.out.read_text(),
        }[stage]
        deadline = time.monotonic() + HANGS
        while not reached():
            assert self.caller.poll() is None, self.out.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def worker(self):
        """The head of the session in which Lava runs."""
        heads = [process for process in processes(self.temporary) if os.getsid(process.pid) == process.pid]
        return next((process for process in heads if "worker" in " ".join(process.cmdline())), None)

    def children(self):
        """Lava's processes: those that the worker forked."""
        return [child for child in self.worker().children() if "tracker" not in " ".join(child.cmdline())]

    def victim(self, which: str) -> psutil.Process:
        """worker, first or last of Lava's processes."""
        deadline = time.monotonic() + HANGS
        while which != "worker" and not self.children():
            assert time.monotonic() < deadline
        return self.worker() if which == "worker" else self.children()[{"first": 0, "last": -1}[which]]

    def outcome(self, since: float | None = None) -> tuple[int, list[str]]:
        """Exit status and what it printed, without progress. since: when the fault was; its report is prompt."""
        status = self.caller.wait(HANGS if since is None else patience() + 1)
        if since is not None:
            assert time.monotonic() - since < patience()
        return status, [line for line in self.out.read_text().splitlines() if line != "runs"]

    def close(self):
        self.caller.kill()
        self.caller.wait()


@pytest.fixture
def run(tmp_path, lava):
    """Starts a run; afterwards nothing of it is left."""
    runs = []

    def run(*arguments, **options):
        runs.append(Run(tmp_path, *arguments, **options))
        return runs[-1]

    yield run
    for one in runs:
        one.close()
        one.witness.check(folders=one.caller.returncode != -9)


@pytest.fixture
def own_mounts(run):
    """Runs with mounts that nobody else sees; needs root and Linux's mount namespaces."""
    allowed = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    if allowed.returncode:
        pytest.skip("mounts of one's own need root")
    assert SHARED_MEMORY.is_dir()
    return run
