"""Commands as the shell starts them, each with a folder for temporary files that is empty again at the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile.leftovers import Witness

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
        """Send a signal to the whole group, unless the command has ended."""
        time.sleep(after)
        if self.started.poll() is None:
            os.killpg(self.started.pid, number)

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
    """A NIR file of the shipped checkpoint."""
    from export import quantize, to_nir, write_graph
    from qkformer import load_checkpoint, load_data

    path = tmp_path_factory.mktemp("graph") / "model.nir"
    model, _ = load_checkpoint("qkformer-digits")
    write_graph(to_nir(quantize(model, load_data("digits", "train")[0])), path)
    return path
