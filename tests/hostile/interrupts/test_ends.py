"""The first and the last moments of a command, interrupts that something swallows, and other signals than Ctrl-C."""

import signal
import subprocess
import sys
import time

import pytest

BEFORE_MAIN = {"__future__", "export", "hardware", "hardware.lazy", "qkformer", "qkformer.cli"}
AT_THE_END = """
import atexit, os, signal, sys, qkformer.cli
print("begins", flush=True)
sys.argv[0] = "qkformer"


class Last:
    def __del__(self):  # after all that is registered
        os.kill(os.getpid(), signal.SIGINT)


last = Last()
atexit.register(lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(3)])
qkformer.cli.main()
"""
SWALLOWED = """
import os, signal, sys, time, qkformer.cli, qkformer.cli.ending
print("begins", flush=True)

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

def work(*_):
    {how}
    for _ in range(2000):
        time.sleep(0.01)

qkformer.cli.ending._run = work
qkformer.cli.main()
"""
HOW = {
    "by what Python ignores": "Swallows()",
    "by whoever catches all": """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except BaseException:
        pass
    """,
    "as another error": """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        raise ImportError("half imported")
    """,
}


def test_little_is_imported_before_main():
    """Until then Ctrl-C is Python's, with a traceback: those few files are a few thousandths of a second."""
    code = "import sys; before = set(sys.modules); import qkformer.cli; print(*set(sys.modules) - before)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert set(found) <= BEFORE_MAIN


def test_too_late_to_matter(start):
    """Ctrl-C while Python ends: the command's own status, and no traceback."""
    assert start("targets", script=AT_THE_END).end() == (0, "")


@pytest.mark.parametrize("how", HOW)
def test_swallowed_and_raised_again(how, start):
    assert start("targets", script=SWALLOWED.format(how=HOW[how])).end() == (130, "interrupted\n")


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "ended"),
    [(signal.SIGTERM, (143, "terminated\n")), (signal.SIGHUP, (129, "the terminal was closed\n"))],
)
def test_in_lava(number, ended, start, graph, lava):
    arguments = ("simulate", graph, "-o", "t.trace", "--target", "lava", "--sections", "2", "--images", "360")
    command = start(*arguments)
    deadline = time.monotonic() + 120
    while not command.witness.segments():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command.press(number)
    assert command.end() == ended


@pytest.mark.long
def test_in_training(start, few_digits):
    """Training finishes its step first, and ends as the signal says."""
    command = start("train", "qkformer-digits", "--data", few_digits, "--epochs", "1000", "-o", "out.safetensors")
    deadline = time.monotonic() + 120
    while not list(command.folder.glob("*.state")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command.press(signal.SIGTERM)
    status, said = command.end()
    assert (status, said.splitlines()[-1]) == (143, "terminated")
