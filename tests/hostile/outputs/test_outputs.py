"""Where results go: every output of every command, and places that are no place for a file."""

import os
import stat

import numpy as np
import pytest
from hostile.case import check_promises
from hostile.data.writers import write_graph, write_npz

import hardware
from qkformer.checkpoints.checkpoint import find_checkpoint

LONG = pytest.mark.long
CHECKPOINT = "c.safetensors"
VERIFY = ("verify", CHECKPOINT, "--against", "interpreter", "--images", "1", "--data", "d.npz")
SIMULATE = ("simulate", "model.nir", "--images", "1", "--data", "d.npz")
EXPORT = ("export", CHECKPOINT, "--data", "d.npz")
OUTPUTS = {  # an option that names a file to write -> the command before it, and what that reads
    "simulate -o": ((*SIMULATE, "-o"), ("model.nir", "d.npz")),
    "simulate --json": ((*SIMULATE, "-o", "x.trace", "--json"), ("model.nir", "d.npz")),
    "compare --json": (("compare", "t.trace", "t.trace", "--json"), ("t.trace",)),
    "targets --json": (("targets", "--json"), ()),
    "info --json": (("info", CHECKPOINT, "--json"), (CHECKPOINT,)),
    "info --data --json": (("info", CHECKPOINT, "--data", "d.npz", "--json"), (CHECKPOINT, "d.npz")),
    "export -o": ((*EXPORT, "-o"), (CHECKPOINT, "d.npz")),
    "export --onnx": ((*EXPORT, "-o", "x.nir", "--onnx"), (CHECKPOINT, "d.npz")),
    "export --json": ((*EXPORT, "-o", "x.nir", "--json"), (CHECKPOINT, "d.npz")),
    "verify --json": ((*VERIFY, "--json"), (CHECKPOINT, "d.npz")),
    "verify --save-trace": ((*VERIFY, "--save-trace"), (CHECKPOINT, "d.npz")),
    "verify --load-trace --json": ((*VERIFY, "--load-trace", "t.trace", "--json"), (CHECKPOINT, "d.npz", "t.trace")),
    "demo --json": (("demo", "--images", "1", "--json"), ()),
}
CHEAP = ("simulate -o", "compare --json", "targets --json")  # whose work is done in no time


@pytest.fixture
def place(tmp_path):
    """A folder with something to read for every command."""
    write_graph(tmp_path)
    write_npz(tmp_path / "d.npz")
    graph = hardware.read_graph(tmp_path / "model.nir")
    images = hardware.encoding_of(graph).encode(np.load(tmp_path / "d.npz")["images"])
    hardware.SpikeTrace(hardware.interpret(graph, images)).save(tmp_path / "t.trace")
    (tmp_path / CHECKPOINT).write_bytes(find_checkpoint("qkformer-digits").read_bytes())
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("about")
    (tmp_path / "about").symlink_to("round")
    return tmp_path


def refused(outcome, *names):
    check_promises(outcome)
    assert outcome.status == 2, outcome
    for name in names:
        assert name in outcome.err, outcome


def content(place):
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "output", [pytest.param(o, marks=LONG) if "verify" in o and o != "verify --json" else o for o in OUTPUTS]
)
def test_no_input_is_written_over(output, place, command):
    arguments, reads = OUTPUTS[output]
    for name in reads:
        os.link(place / name, place / f"hard-{name}")
        (place / f"soft-{name}").symlink_to(name)
    before = content(place)
    for name in reads:
        for way in (name, f"./folder/../{name}", f"hard-{name}", f"soft-{name}"):
            refused(command(*arguments, way), "is what the command reads")
    assert content(place) == before


@pytest.mark.parametrize("output", [o if o in CHEAP else pytest.param(o, marks=LONG) for o in OUTPUTS])
def test_no_place_for_a_file(output, place, command):
    arguments, _ = OUTPUTS[output]
    before = content(place)
    for name, part in {
        "folder": "is a folder",
        "round": "round",
        "round/x": "round",
        "model.nir/x": "model.nir",
        "/dev/null/x": "/dev/null",
        "/proc/nosuch": "/proc",
        "": "empty",
        " ": "empty",
        "a" * 300: "a" * 300,
    }.items():
        refused(command(*arguments, name), part)
    assert content(place) == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((*EXPORT, "-o", "x", "--json", "x"), "two outputs"),
        ((*EXPORT, "-o", "x", "--onnx", "./x"), "two outputs"),
        ((*EXPORT, "-o", "x", "--json", "x/y"), "another output"),
        ((*SIMULATE, "-o", "x", "--json", "folder/../x"), "two outputs"),
        ((*VERIFY, "--report", "folder", "--json", "folder/parity.json"), "two outputs"),
        ((*VERIFY, "--report", "folder", "--save-trace", "folder/model.nir"), "two outputs"),
        ((*VERIFY, "--report", "folder", "--json", "folder/bundle/about.json"), "another output"),
        ((*VERIFY, "--json", "x", "--save-trace", "x"), "two outputs"),
        ((*VERIFY, "--report", ""), "empty"),
        ((*VERIFY, "--report", "model.nir"), "model.nir"),
        ((*EXPORT[:-1], ".", "-o", "folder/test.parquet"), "which the command reads"),
        ((*VERIFY, "--report", "folder", "--load-trace", ""), "empty"),
        (("demo", "-o", ""), "empty"),
        (("demo", "-o", "model.nir"), "model.nir"),
        (("demo", "-o", "folder", "--json", "folder/raster.png"), "two outputs"),
        (("demo", "-o", "folder", "--json", "folder/lava.trace"), "two outputs"),
        (("compare", "", "t.trace"), "empty"),
        (("simulate", "", "-o", "x"), "empty"),
    ],
)
def test_outputs_in_each_others_way(arguments, part, place, command):
    before = content(place)
    refused(command(*arguments), part)
    assert content(place) == before


@pytest.mark.parametrize(
    "output", [o if o in CHEAP else pytest.param(o, marks=LONG) for o in OUTPUTS if "load" not in o and "demo" not in o]
)
def test_what_is_not_regular_is_written_to(output, place, command):
    arguments, _ = OUTPUTS[output]
    (place / "dangling").symlink_to("target")
    for name in "/dev/null", "dangling":
        outcome = command(*arguments, name)
        check_promises(outcome)
        assert outcome.status == 0, outcome
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert (place / "dangling").is_symlink()
    assert (place / "target").is_file()
    refused(command(*arguments, "/dev/full"), "/dev/full", "No space left")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    refused(command(*arguments, "/dev/stdout"), "/dev/stdout", "where the command prints")


@pytest.mark.parametrize(
    "output", [o if o in CHEAP else pytest.param(o, marks=LONG) for o in OUTPUTS if "load" not in o and "demo" not in o]
)
def test_modes_and_the_umask(output, place, command):
    arguments, _ = OUTPUTS[output]
    (place / "secret").touch(0o600)
    (place / "secret").chmod(0o600)
    before = os.umask(0)
    os.umask(before)
    for name, mode in ("secret", 0o600), ("new", 0o666 & ~before):
        assert command(*arguments, name).status == 0
        assert stat.S_IMODE((place / name).stat().st_mode) == mode


def test_nothing_is_made_where_a_command_is_refused(place, command):
    refused(command("simulate", "no.nir", "-o", "new/folder/x.trace"), "no.nir")
    assert not (place / "new").exists()


def test_a_pipe_that_nobody_reads(place, monkeypatch):
    from hardware import files

    monkeypatch.setattr(files, "PATIENCE", 0.1)
    os.mkfifo(place / "pipe")
    with pytest.raises(OSError, match="nobody reads"):
        files.write_atomically(place / "pipe", lambda path: path.write_text("x"))


def test_a_name_that_the_terminal_would_obey(place, command):
    name = "a\x1b[2K[bold]\n0 of 0 spikes differ"
    outcome = command(*SIMULATE, "-o", name)
    check_promises(outcome)
    assert outcome.status == 0, outcome
    assert "\x1b" not in outcome.out
    assert r"a\x1b[2K[bold]\n0 of 0 spikes differ: " in outcome.out
