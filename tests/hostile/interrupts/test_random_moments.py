"""Ctrl-C at any moment of any command's life, once or twice: status 130 and one word, and nothing is left.

A command that had finished by then has its own status, 0, and says nothing. Nothing else is possible.
"""

import random
import time

import pytest

COMMANDS = {  # arguments, and about how many seconds of processor time it takes
    "info": (("info", "qkformer-digits"), 3),
    "export": (("export", "qkformer-digits", "-o", "out.nir"), 5),
    "simulate": (("simulate", "GRAPH", "-o", "out.trace", "--images", "1"), 4),
    "in Lava": (("simulate", "GRAPH", "-o", "t.trace", "--target", "lava", "--images", "1", "--sections", "2"), 7),
    "verify": (("verify", "qkformer-digits", "--images", "1", "--sections", "1", "--report", "out"), 9),
    "demo": (("demo", "--images", "1", "--sections", "1", "-o", "out"), 10),
    "train": (("train", "qkformer-digits", "--data", "FEW", "--epochs", "1", "-o", "out.safetensors"), 7),
}
MOMENTS = 50
QUICK = ("info", "export")
USUAL = 14  # two of each command


def tries():
    """A command each, in turn; the quickest two for the short form."""
    names = [*QUICK, *(list(COMMANDS)[number % len(COMMANDS)] for number in range(MOMENTS - len(QUICK)))]
    return [pytest.param(name, number, marks=marks(number), id=f"{number} {name}") for number, name in enumerate(names)]


def marks(number):
    return () if number < len(QUICK) else pytest.mark.long if number < USUAL else pytest.mark.exhaustive


@pytest.mark.parametrize(("name", "number"), tries())
def test_ctrl_c(name, number, start, graph, few_digits, lava):
    arguments, life = COMMANDS[name]
    command = start(*({"GRAPH": graph, "FEW": few_digits}.get(argument, argument) for argument in arguments))
    moment = random.Random().uniform(0, life)  # anew each time: it must hold at every moment
    command.press(after=moment)
    if number % 2:
        time.sleep(random.Random().uniform(0, 0.3))  # an impatient user
        command.press()
    ended = command.end()
    if name == "train" and ended[0] == 130:
        assert ended[1].endswith("interrupted\n"), (ended, moment)
        assert "Traceback" not in ended[1], (ended, moment)
    else:
        assert ended in [(130, "interrupted\n"), (0, "")], (ended, moment)
    assert half_written(command.folder) == []


def half_written(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]
