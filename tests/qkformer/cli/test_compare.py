"""`qkformer compare A B`: 0 equal, 1 different, 2 not comparable."""

import json
import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from hardware import PackedTrace, SpikeTrace
from hardware.trace.packing import Packed


def trace(about=None, **changes):
    """Two populations [T = 3, B = 2, ...]; changes: population -> {index: value}."""
    populations = {"first": np.zeros((3, 2, 4), np.int8), "[red]second": np.full((3, 2, 1, 2, 2), 7, np.int32)}
    for name, values in changes.items():
        for index, value in values.items():
            populations[name][index] = value
    return SpikeTrace(populations, about)


@pytest.fixture
def compared(qkformer):
    """Runs the command on two traces; gives what it did and its JSON."""

    def compared(first, second):
        first.save("a.trace")
        second.save("b.trace")
        result = qkformer("compare", "a.trace", "b.trace", "--json", "new/c.json")
        return result, json.loads(Path("new/c.json").read_text())

    return compared


def test_equal(compared):
    result, found = compared(trace(), trace())
    assert result.status == 0
    assert result.out.endswith("\n0 of 48 values differ\n")
    assert "Populations that differ" not in result.out
    assert result.err == ""
    assert found["command"] == "qkformer compare a.trace b.trace --json new/c.json"
    assert "numpy" in found["versions"]
    assert found["traces"] == ["a.trace", "b.trace"]
    assert (found["mismatches"], found["compared"], found["first_divergence"]) == (0, 48, None)
    assert [population["name"] for population in found["populations"]] == ["first", "[red]second"]


def test_different(compared):
    result, found = compared(trace(), trace(**{"[red]second": {(1, 0, 0, 1, 0): 3, (2, 1, 0, 0, 0): 9}}))
    assert result.status == 1
    table = result.out[result.out.index("Populations that differ") :].splitlines()
    rows = [line.split() for line in table if line.strip().startswith(("first ", "[red]second "))]
    assert rows == [["[red]second", "24", "2"]]
    assert result.out.endswith(
        "2 of 48 values differ\n"
        "first: [red]second, time step 1, sample 0, neuron [0, 1, 0]: 7 in a.trace, 3 in b.trace\n"
    )
    assert found["mismatches"] == 2
    assert found["first_divergence"]["neuron"] == [0, 1, 0]


def test_floats_are_not_rounded(compared):
    sides = (SpikeTrace({"output": np.full((1, 1, 1), value)}) for value in (0.25, 0.5))
    result, _ = compared(*sides)
    assert result.status == 1
    assert "0.25 in a.trace, 0.5 in b.trace" in result.out


def test_what_the_traces_are_of(compared):
    made = {"graph": "a", "inputs": "b", "versions": {"nir": "1"}}
    for other, named in (
        ({"graph": "c"}, ["graph"]),
        ({"inputs": "d"}, ["inputs"]),
        ({"graph": "c", "inputs": "d"}, ["graph", "inputs"]),
        ({"versions": {"nir": "2"}}, []),
    ):
        result, found = compared(trace(made), trace(made | other))
        assert result.status == 0
        notes = [line for line in result.out.splitlines() if line.startswith("note: ")]
        assert len(notes) == bool(named)
        assert all(name in note for name in named for note in notes)
        assert found["different_fingerprints"] == named
    assert compared(trace(made), trace())[1]["different_fingerprints"] == []


def test_traces_of_every_kind(qkformer):
    trace().save("plain.trace")
    packed = PackedTrace()
    packed.update(trace())
    packed.save("packed.trace")
    np.savez("old.npz", **trace())
    for other in ("packed.trace", "old.npz"):
        assert qkformer("compare", "plain.trace", other).status == 0


def test_populations_are_read_one_at_a_time(qkformer, monkeypatch):
    unpack, unpacked, most = Packed.unpack, [], 0

    def counted(packed):
        nonlocal most
        values = unpack(packed)
        unpacked.append(weakref.ref(values))
        most = max(most, sum(alive() is not None for alive in unpacked))
        return values

    SpikeTrace({str(number): np.ones((2, 1, 3), np.int8) for number in range(20)}).save("a.trace")
    monkeypatch.setattr(Packed, "unpack", counted)
    assert qkformer("compare", "a.trace", "a.trace").status == 0
    assert len(unpacked) >= 40
    assert most <= 4  # two of each trace: one that was compared, and the next


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        (trace() | {"third": np.zeros((3, 2, 1))}, ["only in b.trace: third"]),
        (SpikeTrace({"first": trace()["first"]}), ["only in a.trace: [red]second"]),
        (trace() | {"first": np.zeros((3, 1, 4))}, ["'first'", "(3, 2, 4) in a.trace", "(3, 1, 4) in b.trace"]),
        (SpikeTrace(), ["b.trace", "no population"]),
    ],
)
def test_not_comparable(refused, other, parts):
    trace().save("a.trace")
    other.save("b.trace")
    refused("compare", "a.trace", "b.trace", names=parts)


def test_files_that_are_no_traces(refused):
    trace().save("a.trace")
    Path("text").write_text("spikes")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    whole = Path("a.trace").read_bytes()
    Path("half").write_bytes(whole[: len(whole) // 2])
    for name, part in {
        "gone": "no such file",
        "text": "not a readable trace",
        "half": "not a readable trace",
        "folder": "is a folder",
        "pipe": "not a regular file",
    }.items():
        refused("compare", "a.trace", name, names=[name, part])
        refused("compare", name, "a.trace", names=[name, part])
    refused("compare", "a.trace", "a.trace", "--json", "folder", names=["folder", "is a folder"])
    refused("compare", "a.trace", names=["second"])
