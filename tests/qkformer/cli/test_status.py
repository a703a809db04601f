"""How a command ends: the user's errors, bugs, and Ctrl-C, wherever it comes."""

import os
import random
import signal
import subprocess
import sys
import threading

import pytest

from hardware.errors import GraphError, InputError, RangeError, TargetError, UserError

INFO = ("info", "qkformer-digits")


@pytest.fixture
def raises(monkeypatch):
    """Makes `qkformer info` raise an exception."""

    def raises(error):
        def fail(*arguments):
            raise error

        monkeypatch.setattr("qkformer.cli.info.show_info", fail)

    return raises


@pytest.mark.parametrize("kind", [UserError, InputError, GraphError, RangeError, TargetError])
def test_what_a_user_can_mend_is_one_line(kind, raises, qkformer):
    raises(kind("layer 'a' has 3; at most 2"))
    result = qkformer(*INFO)
    assert (result.status, result.out, result.err) == (2, "", "error: layer 'a' has 3; at most 2\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), ValueError("bad\nlines"), KeyError("name")])
def test_a_bug_says_that_it_is_one(error, raises, qkformer):
    raises(error)
    result = qkformer(*INFO)
    assert result.status == 70
    assert result.err.startswith(f"bug: {type(error).__name__}: ")
    assert result.err.count("\n") == 1
    for part in ("not yours", "report it", "--debug"):
        assert part in result.err


@pytest.mark.parametrize(
    "error", [MemoryError(), MemoryError("std::bad_alloc"), RuntimeError("[x] can't allocate memory: 9 bytes")]
)
def test_memory_that_is_short_is_no_bug(error, raises, qkformer):
    raises(error)
    result = qkformer(*INFO)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("error: not enough memory")
    assert str(error) in result.err
    assert "fewer images" in result.err


def test_endless_recursion_is_a_bug(raises, qkformer):
    raises(RecursionError("maximum recursion depth exceeded"))
    assert qkformer(*INFO).status == 70


def test_a_bug_in_a_thread(monkeypatch, qkformer):
    def in_a_thread(*arguments):
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()

    monkeypatch.setattr("qkformer.cli.info.show_info", in_a_thread)
    result = qkformer(*INFO)
    assert result.status == 70
    assert result.err.startswith("bug: ZeroDivisionError: ")


@pytest.mark.parametrize("error", [InputError("layer 'a'"), ZeroDivisionError("division by zero")])
@pytest.mark.parametrize("command", [("--debug", *INFO), (*INFO, "--debug")])
def test_debug_shows_where(error, command, raises, qkformer):
    raises(error)
    result = qkformer(*command)
    assert "Traceback (most recent call last)" in result.err
    assert "in fail" in result.err
    *_, last = result.err.splitlines()
    assert last.startswith("error: layer 'a'" if isinstance(error, UserError) else "bug: ZeroDivisionError")


def test_ctrl_c_in_a_command(raises, qkformer):
    raises(KeyboardInterrupt())
    result = qkformer(*INFO)
    assert (result.status, result.err) == (130, "interrupted\n")


SLOW = """
import importlib.abc, sys, time


class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        print("import", flush=True)
        time.sleep(0.005)


def main():
    from qkformer.cli import main
    sys.meta_path.insert(0, Slow())
    sys.argv = ["qkformer", "info", "qkformer-digits"]
    main()
"""
IMPORTS = 200  # before torch is there


@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_while_importing(attempt, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    after = random.Random().randrange(1, IMPORTS)  # anew each time: it must hold at every moment
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]])}
    started = subprocess.Popen(
        [sys.executable, "-c", "import slow; slow.main()"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in the background
    )
    for _ in range(after):
        assert started.stdout.readline() == "import\n"
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=100)
    assert (started.returncode, errors) == (130, "interrupted\n"), after
