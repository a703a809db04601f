"""Files that are no traces, or damaged ones: one line, and nothing of what they claim is believed."""

import json
import os
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from hardware import PackedTrace, SpikeTrace, TraceError

POPULATION = {"name": "a", "shape": [4, 2, 100], "type": "bit"}
UNREADABLE = "not a readable trace"
KINDS = (SpikeTrace, PackedTrace)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bad.trace"


@pytest.fixture
def members():
    """Of a file with one population."""
    values = np.random.default_rng(0).integers(0, 2, (4, 2, 100))
    header = {"version": 1, "about": {}, "populations": [POPULATION]}
    return {"trace.json": json.dumps(header), "0": zlib.compress(np.packbits(values).tobytes())}


def write(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def refused(refuses, path, *parts):
    for kind in KINDS:
        with refuses(TraceError, str(path), *parts):
            kind.load(path)


def test_the_members_are_right(path, members):
    write(path, members)
    assert SpikeTrace.load(path)["a"].shape == (4, 2, 100)


def declared(**changes):
    return {"populations": [POPULATION | changes]}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"version": 99}, ["version 99", "1 is read"]),
        ({"version": [1]}, ["version [1]"]),
        ({"about": [1]}, ["about"]),
        ({"populations": None}, [UNREADABLE]),
        ({"populations": ["a"]}, [UNREADABLE]),
        ({"populations": []}, ["0 populations are declared, 1 are there"]),
        ({"populations": [POPULATION] * 2}, ["same name"]),
        ({"populations": [POPULATION, POPULATION | {"name": "b"}]}, ["2 populations are declared, 1 are there"]),
        (declared(name=7), ["called 7"]),
        (declared(type="|O"), ["'a'", "|O"]),
        (declared(type="V8"), ["'a'", "V8"]),
        (declared(type="<i4,<i4"), ["'a'", "<i4,<i4"]),
        (declared(type=4), ["'a'", "type 4"]),
        (declared(type="<i4"), ["3,200 bytes are declared"]),
        (declared(shape="4"), ["'a'", "shape '4'"]),
        (declared(shape=[4, 2, -100]), ["'a'", "-100"]),
        (declared(shape=[4, 2, 100.0]), ["'a'", "100.0"]),
        (declared(shape=[True, 800]), ["'a'", "True"]),
        (declared(shape=[4, 2, 99]), ["99 bytes are declared"]),
        (declared(shape=[4, 2, 120]), ["120 bytes are declared"]),
        (declared(shape=[0, 10**30]), [UNREADABLE]),
        (declared(shape=[1] * 100 + [800]), [UNREADABLE]),
    ],
)
def test_a_header_that_is_wrong(refuses, path, members, changes, parts):
    header = json.loads(members["trace.json"]) | changes
    write(path, members | {"trace.json": json.dumps(header)})
    refused(refuses, path, *parts)


@pytest.mark.parametrize("shape", [[10**11], [10**6, 10**6], [10**400]])
@pytest.mark.parametrize("kind", ["bit", "<f8"])
def test_a_declared_size_is_not_allocated(refuses, path, members, shape, kind):
    header = json.loads(members["trace.json"]) | declared(shape=shape, type=kind)
    write(path, members | {"trace.json": json.dumps(header)})
    tracemalloc.start()
    refused(refuses, path, "are declared", "cannot hold")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_more_data_than_declared_is_not_unpacked(refuses, path, members):
    write(path, members | {"0": zlib.compress(bytes(100_000_000))})
    tracemalloc.start()
    refused(refuses, path, "100 bytes are declared")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "change",
    [
        {"0": b"not compressed"},
        {"0": b""},
        {"0": zlib.compress(bytes(100))[:-1]},
        {"0": zlib.compress(bytes(100)) + b"more"},
        {"1": b"a member too many"},
        {"trace.json": b""},
        {"trace.json": b"\xff{}"},
        {"trace.json": b"[1]"},
        {"trace.json": b"[" * 100_000},
        {"trace.json": b'{"version": 1}'},
    ],
)
def test_members_that_are_wrong(refuses, path, members, change):
    write(path, members | change)
    refused(refuses, path, UNREADABLE)


def test_missing_members(refuses, path, members):
    for name in members:
        write(path, {other: data for other, data in members.items() if other != name})
        refused(refuses, path, UNREADABLE)


def test_members_that_the_archive_compresses(refuses, path, members):
    write(path, members, compression=zipfile.ZIP_DEFLATED)
    refused(refuses, path, "compressed by the archive")


def test_a_member_that_is_longer_than_the_file(refuses, path, members):
    write(path, members)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # compressed size, then size, of the last member
    data[entry + 20 : entry + 28] = (2**31 - 1).to_bytes(4, "little") * 2
    path.write_bytes(data)
    refused(refuses, path, UNREADABLE, "overlap")


def truncated(data):
    return [data[:kept] for kept in (0, 1, 10, 100, len(data) // 2, -100, -1)]


def changed(data):
    """One byte within the packed values is another."""
    places = range(100, 120)
    return [data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :] for i in places]


@pytest.mark.parametrize("damage", [truncated, changed])
def test_a_damaged_file(refuses, path, damage):
    SpikeTrace({"a": np.random.default_rng(0).integers(0, 2, (10, 10, 10))}).save(path)
    for data in damage(path.read_bytes()):
        path.write_bytes(data)
        refused(refuses, path, UNREADABLE)


def loaded(path):
    """The trace, or None where the error is one that a user can read."""
    try:
        return SpikeTrace.load(path)
    except TraceError:
        return None


def test_any_byte_changed_is_a_trace_error_or_harmless(path, members):
    write(path, members)
    whole, wanted = path.read_bytes(), SpikeTrace.load(path)["a"]
    for place in range(len(whole)):
        for flipped in (0xFF, 0x01):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
            found = loaded(path)
            if found is not None:
                np.testing.assert_array_equal(found["a"], wanted)


def test_what_is_no_file_of_a_trace(refuses, path, tmp_path):
    refused(refuses, tmp_path / "gone.trace", "no such file")
    refused(refuses, tmp_path / "bad.trace" / "below", "no such file")
    refused(refuses, tmp_path, "is a folder")
    path.write_text("spikes\n")
    refused(refuses, path, UNREADABLE)
    refused(refuses, path / "below", "no such file")
    os.mkfifo(tmp_path / "pipe")
    refused(refuses, tmp_path / "pipe", "not a regular file")
    refused(refuses, tmp_path / ("long" * 1000), UNREADABLE)
