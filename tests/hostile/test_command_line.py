"""What is typed: options and names that no command takes, where results are to go, and who reads what is printed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amount import random_examples
from hostile.case import Case, check_promises
from hostile.data.writers import write_graph, write_npz
from hypothesis import given
from hypothesis import strategies as st

import hardware

VERIFY = ("verify", "qkformer-digits", "--against", "interpreter")
CASES = {
    "no such command": Case(("fly",), ("fly",)),
    "no such configuration": Case(("info", "qkformer-11"), ("qkformer-11",)),
    "images: none": Case((*VERIFY, "--images", "0"), ("--images", "0", "at least 1")),
    "images: not a number": Case((*VERIFY, "--images", "many"), ("--images", "many")),
    "images: ten to the twelve": Case((*VERIFY, "--images", str(10**12)), ("--images", "1000000000000", "1,000,000")),
    "images: a float": Case(("demo", "--images", "1.5"), ("--images", "1.5")),
    "images: less than none": Case(("simulate", "m", "-o", "x", "--images", "-1"), ("--images", "-1")),
    "images: more than a word": Case(("info", "qkformer-digits", "--images", "9" * 30), ("--images", "9" * 30)),
    "memory: NaN": Case((*VERIFY, "--memory-limit", "nan"), ("--memory-limit", "nan")),
    "memory: infinite": Case((*VERIFY, "--memory-limit", "inf"), ("--memory-limit", "inf", "1,000,000")),
    "memory: huge": Case((*VERIFY, "--memory-limit", "1e300"), ("--memory-limit", "1e+300")),
    "memory: below none": Case((*VERIFY, "--memory-limit", "-0.5"), ("--memory-limit", "-0.5")),
    "no such target": Case(("verify", "qkformer-digits", "--against", "loihi"), ("loihi", "interpreter")),
    "no target": Case(("verify", "qkformer-digits", "--against", ""), ("no target is called ''",)),
    "targets that are commas": Case(("verify", "qkformer-digits", "--against", ",,"), ("target",)),
    "a target with escapes": Case(("verify", "qkformer-digits", "--against", "\x1b[2K[/x]"), ("\\x1b[2K[/x]",)),
    "no such chip": Case((*VERIFY, "--chip", "loihi9"), ("loihi9", "loihi2")),
    "no data": Case((*VERIFY, "--data", ""), ("data ''", "digits")),
    "data of spaces": Case((*VERIFY, "--data", "  "), ("data ' '", "digits")),
    "data of nobody": Case((*VERIFY, "--data", "~nobody/x"), ("~nobody/x", "no such folder")),
    "data with one slash": Case((*VERIFY, "--data", "data/cifar10"), ("data/cifar10", "no such folder", "hub:")),
    "a hub without a name": Case((*VERIFY, "--data", "hub:"), ("hub:", "OWNER/NAME")),
    "a hub up the tree": Case((*VERIFY, "--data", "hub:../../etc"), ("hub:../../etc", "OWNER/NAME")),
    "a label of digits": Case((*VERIFY, "--label", "fine"), ("digits", "label")),
    "a label for info": Case(("info", "qkformer-digits", "--data", "digits", "--label", "x"), ("label",)),
    "a label for export": Case(("export", "qkformer-digits", "-o", "x", "--label", "x"), ("label",)),
    "data of a configuration": Case(("info", "qkformer-cifar10", "--data", ""), ("--data",)),
    "a graph that is a folder": Case(("simulate", ".", "-o", "x.trace"), (".",)),
    "a checkpoint that is a folder": Case(("info", "."), (".",)),
    "a checkpoint that is a device": Case(("info", "/dev/null"), ("/dev/null",)),
    "a checkpoint without a name": Case(("info", ""), ("no such file",)),
    "traces that are folders": Case(("compare", ".", "."), (".",)),
}


@pytest.mark.parametrize("name", CASES)
def test_command_line(name, check):
    outcome = check(CASES[name])
    assert "\x1b" not in outcome.out + outcome.err


PLACES = [
    "model.nir",
    "d.npz",
    "folder",
    "nosuch",
    "",
    " ",
    ".",
    "/dev/null",
    "[/x]",
    "\x1b[2K",
    "\n",
    "a" * 300,
    "-",
    "é",
]
NUMBERS = ["0", "1", "2", "-1", str(10**12), "9" * 40, "nan", "inf", "1e999", "1.5", "x", "", "0x10", "None", "[bold]"]
OPTIONS = {
    "simulate": {
        "--data": ["digits", "hub:", *PLACES], "--images": NUMBERS, "-o": PLACES, "--json": PLACES, "--label": PLACES,
        "--target": ["interpreter", "loihi", "torch", ""], "--stock-models": None, "--floating-point": None,
        "--gates": None, "--debugging": None,
    },
    "compare": {"--json": PLACES, "--images": NUMBERS},
    "targets": {"--json": PLACES, "more": None},
    "info": {"--data": PLACES, "--images": NUMBERS[:1], "--json": PLACES, "--label": PLACES},
    "export": {"-o": [".", "", "folder"], "--chip": PLACES, "--onnx": PLACES, "--float": None, "--data": PLACES},
    "demo": {"-o": ["", "model.nir", "/dev/null"], "--images": NUMBERS, "--json": PLACES, "--sections": NUMBERS},
    "verify": {
        "--against": ["", ",", "loihi"], "--data": PLACES, "--images": NUMBERS, "--report": PLACES, "--json": PLACES,
        "--memory-limit": NUMBERS, "--save-trace": PLACES, "--load-trace": PLACES, "--chip": PLACES, "--gates": None,
    },
}  # fmt: skip
ARGUMENTS = {"simulate": 1, "compare": 2, "info": 1, "export": 1, "verify": 1}


@st.composite
def commands(draw):
    """A command with arguments and options, each with any value."""
    name = draw(st.sampled_from(sorted(OPTIONS)))
    line = [name, *(draw(st.sampled_from(PLACES)) for _ in range(ARGUMENTS.get(name, 0)))]
    for option in draw(st.lists(st.sampled_from(sorted(OPTIONS[name])), max_size=4)):
        values = OPTIONS[name][option]
        line += [option] if values is None else [option, draw(st.sampled_from(values))]
    if name == "demo" and "-o" not in line:
        line += ["-o", ""]
    return line


def fill(folder):
    """Something to run."""
    (folder / "folder").mkdir()
    write_graph(folder)
    write_npz(folder / "d.npz")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder for many commands, which may write over what is in it."""
    return fill(tmp_path_factory.mktemp("tiny"))


@random_examples(150, 15)
@given(line=commands())
def test_any_command(line, ask, tiny):
    outcome = ask(line, tiny)
    if outcome.status == 1:
        assert line[0] == "compare"
        return
    check_promises(outcome)
    assert "\x1b" not in outcome.out + outcome.err, outcome


PIPED = {
    "targets": ("targets", "--json", "o.json"),
    "compare": ("compare", "t.trace", "t.trace", "--json", "o.json"),
    "simulate": ("simulate", "model.nir", "--data", "d.npz", "-o", "t.trace", "--json", "o.json"),
    "info": ("info", "qkformer-digits", "--json", "o.json"),
    "export": ("export", "qkformer-digits", "-o", "x.nir", "--json", "o.json"),
    "verify": (*VERIFY, "--images", "1", "--json", "o.json"),
}


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("compare", "gone"),
        *(pytest.param(name, "gone", marks=pytest.mark.long) for name in PIPED if name != "compare"),
        *(pytest.param("simulate", reader, marks=pytest.mark.long) for reader in ("never there", "full")),
    ],
)
def test_whoever_reads_the_output_may_leave(name, reader, tmp_path):
    """The work is finished, and the status is that of its outcome; but a full disk is said."""
    fill(tmp_path)
    hardware.SpikeTrace({"output": np.ones((2, 3, 10), np.int32)}).save(tmp_path / "t.trace")
    read, write = os.pipe()
    os.close(read)
    command = [Path(sys.executable).with_name("qkformer"), *PIPED[name]]
    shell = ["sh", "-c", {"never there": '"$@" >&-', "full": '"$@" >/dev/full', "gone": '"$@"'}[reader], "sh", *command]
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(shell, cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=200)
    if reader == "full":
        assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "o.json").is_file()
