"""Ctrl-C at any moment of any command's life, once or twice: status 130 and one word, and nothing is left.

A command that had finished by then has its own status, 0, and says nothing. Nothing else is possible.
"""

import random
import subprocess
import sys
import time

import pytest

COMMANDS = {  # arguments, and seconds from beginning to end on a machine that does nothing else
    "info": (("info", "qkformer-digits"), 2.5),
    "export": (("export", "qkformer-digits", "-o", "out.nir"), 4),
    "simulate": (("simulate", "GRAPH", "-o", "out.trace", "--images", "1"), 3.5),
    "in sections": (("simulate", "GRAPH", "-o", "t.trace", "--target", "lava", "--images", "1", "--sections", "2"), 7),
    "verify": (("verify", "qkformer-digits", "--images", "1", "--sections", "1", "--report", "out"), 9),
    "demo": (("demo", "--images", "1", "--sections", "1", "-o", "out"), 9),
    "train": (("train", "qkformer-digits", "--epochs", "1", "-o", "out.safetensors"), 8),
}
MOMENTS = 50
QUICK = ("in sections", "simulate")


@pytest.fixture(scope="session")
def slower():
    """How much longer the machine takes now than when the seconds above were taken."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return max(1.0, (time.monotonic() - start) / 1.5)


def tries():
    """A command each, in turn; the quickest two for the short form."""
    names = [*QUICK, *(list(COMMANDS)[number % len(COMMANDS)] for number in range(MOMENTS - len(QUICK)))]
    return [
        pytest.param(name, number, marks=[] if number < len(QUICK) else pytest.mark.long)
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize(("name", "number"), tries())
def test_ctrl_c(name, number, start, graph, slower, lava):
    arguments, life = COMMANDS[name]
    command = start(*(graph if argument == "GRAPH" else argument for argument in arguments))
    moment = random.Random().uniform(0, life * slower)  # anew each time: it must hold at every moment
    command.press(after=moment)
    if number % 2:
        command.press(after=random.Random().uniform(0, 0.3))  # an impatient user
    ended = command.end()
    if name == "train" and ended[0] == 130:
        assert ended[1].endswith("interrupted\n"), (ended, moment)
        assert "Traceback" not in ended[1], (ended, moment)
    else:
        assert ended in [(130, "interrupted\n"), (0, "")], (ended, moment)
    assert half_written(command.folder) == []


def half_written(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]
