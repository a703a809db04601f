"""Commands as the shell starts them, each with a folder for temporary files that is empty again at the end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nir
import numpy as np
import psutil
import pytest
from digits_folder import write_digits
from hostile.leftovers import Witness
from small_graphs import conv, flatten_node, lif
from small_graphs import graph as graph_of

from hardware.graph.encoding import Encoding
from hardware.graph.file import write_graph

HANGS = 280  # seconds, on a machine however busy

# What the installed script does, which says when our code begins: what Python does before is not a command's own.
SCRIPT = "import sys, qkformer.cli; print('begins', flush=True); sys.argv[0] = 'qkformer'; qkformer.cli.main()"


class Command:
    """A command at the head of a session, as in a terminal: its signals reach whatever it has started in there."""

    def __init__(self, folder: Path, *arguments, script: str = SCRIPT):
        self.folder, self.temporary = folder / "work", folder / "temporary"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.witness = Witness(self.temporary)
        self.started = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
            preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)],
        )
        assert self.started.stdout.readline() == "begins\n"

    def press(self, number=signal.SIGINT, after: float = 0.0):
        """Send a signal to the whole group when it has used so many seconds of processor time, or soon after."""
        while self.started.poll() is None and self.used() < after:
            time.sleep(0.01)
        if self.started.poll() is None:
            os.killpg(self.started.pid, number)

    def used(self) -> float:
        """Seconds of processor time, the children included."""
        spent = 0.0
        with suppress(psutil.NoSuchProcess):
            command = psutil.Process(self.started.pid)
            for process in [command, *command.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    spent += sum(process.cpu_times()[:4])
        return spent

    def end(self) -> tuple[int, str]:
        """Exit status and what is on standard error."""
        _, err = self.started.communicate(timeout=HANGS)
        return self.started.returncode, err

    def close(self):
        self.started.kill()
        self.started.communicate()


@pytest.fixture
def start(tmp_path):
    """Starts a command; afterwards nothing of it is left."""
    commands = []

    def start(*arguments, **options):
        commands.append(Command(tmp_path, *arguments, **options))
        return commands[-1]

    yield start
    for command in commands:
        command.close()
        command.witness.check()


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """A NIR file of a small network that takes digits."""
    nodes = {
        "conv": conv(np.full((2, 1, 1, 1), 64), size=(8, 8)),
        "spikes": lif((2, 8, 8), threshold=500),
        "flat": flatten_node((2, 8, 8)),
        "head": nir.Linear(np.ones((10, 128))),
    }
    network = graph_of((1, 8, 8), nodes, ["input -> conv -> spikes -> flat -> head -> output"], [10], type_check=False)
    network.metadata = Encoding("small", (1, 8, 8), time_steps=4, input_scale=1 / 16).to_metadata()
    path = tmp_path_factory.mktemp("graph") / "model.nir"
    write_graph(network, path)
    return path


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory):
    """A folder of a few digits, to train on in seconds."""
    return write_digits(tmp_path_factory.mktemp("few-digits"))
