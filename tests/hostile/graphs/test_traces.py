"""Traces and .npz files, spoilt at random: read, or refused in one line; nothing is unpickled."""

import io
import json
import pickle
import zipfile
import zlib

import numpy as np
import pytest
from amount import random_examples
from hostile.graphs.spoil import check_line
from hypothesis import given
from hypothesis import strategies as st

from hardware import PackedTrace, SpikeTrace
from hardware.errors import UserError

VALUES = {"a": np.eye(4, dtype=np.int8).reshape(2, 2, 4), "output": np.arange(12, dtype=np.int32).reshape(2, 2, 3)}

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
lengths = st.integers(-2, 5) | st.sampled_from([10**6, 10**11, 2**63, 10**30])
types = st.sampled_from(["bit", "<i4", ">f8", "|i1", "|O", "V8", "<c8", "<U3", "", "<i3", "bits", "<i4,<i4"])
MEMBERS = ["trace.json", "0", "1", "2", "a.npy", "../a", "a.npy/"]
names = st.sampled_from(["a", "output", "", "trace.json", "..", "/etc/passwd", "\ud800", "\n", "[/x]", "x" * 1000])


@st.composite
def headers(draw):
    """What trace.json says, of which one to three parts are something else."""
    populations = [{"name": name, "shape": [*v.shape], "type": v.dtype.str} for name, v in VALUES.items()]
    header = {"version": 1, "about": {}, "populations": populations}
    for _ in range(draw(st.integers(1, 3))):
        entry = populations[draw(st.integers(0, 1))]
        match draw(st.integers(0, 6)):
            case 0:
                header[draw(st.sampled_from([*header, "more"]))] = draw(anything)
            case 1:
                header.pop(draw(st.sampled_from([*header])), None)
            case 2:
                entry[draw(st.sampled_from(["name", "shape", "type", "more"]))] = draw(anything)
            case 3:
                entry["shape"] = draw(st.lists(lengths, max_size=4) | st.just([1] * 70))
            case 4:
                entry["type"] = draw(types)
            case 5:
                entry["name"] = draw(names)
            case _:
                entry.pop(draw(st.sampled_from(["name", "shape", "type"])), None)
    return header


@st.composite
def arrays(draw):
    """The bytes of an .npy file, or of none."""
    kind = draw(st.sampled_from(["number", "object", "text", "compound", "date", "empty", "none", "header", "pickle"]))
    if kind == "none":
        return draw(st.binary(max_size=40))
    if kind == "pickle":
        return pickle.dumps({"a": 1})
    file = io.BytesIO()
    if kind == "header":
        shape = tuple(draw(st.lists(lengths, max_size=3)))
        text = repr({"descr": draw(types), "fortran_order": draw(anything), "shape": shape}).encode(errors="replace")
        text = text[: draw(st.integers(0, len(text)) | st.just(len(text)))] + b"\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(16)
    made = {
        "number": lambda: np.full(
            draw(st.sampled_from([(), (1,), (2, 2), (2, 2, 4)])), draw(st.sampled_from([0, 1, 0.5, 1j, True]))
        ),
        "object": lambda: np.array([{}, "a"], object),
        "text": lambda: np.array(["a", "b"]),
        "compound": lambda: np.zeros(2, [("a", "f4")]),
        "date": lambda: np.zeros(2, "M8[s]"),
        "empty": lambda: np.zeros((0, 2, 3)),
    }
    np.save(file, made[kind](), allow_pickle=True)
    return file.getvalue()


@st.composite
def archives(draw):
    """A zip archive that is nearly a trace, or nearly an .npz."""
    members = {str(n): zlib.compress(values.tobytes()) for n, values in enumerate(VALUES.values())}
    if draw(st.booleans()):
        members["trace.json"] = json.dumps(draw(headers())).encode()
    else:
        members = {f"{name}.npy": draw(arrays()) for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))}
    if draw(st.booleans()) and draw(st.booleans()):
        members[draw(st.sampled_from(["trace.json", "0", "1", "2", "a.npy", "../a", "a.npy/"]))] = draw(
            st.binary(max_size=30)
        )
    file = io.BytesIO()
    with zipfile.ZipFile(
        file, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
    ) as archive:
        for name, contents in members.items():
            archive.writestr(name.encode(errors="replace").decode() or "_", contents)
    return file.getvalue()


def read(path):
    """A trace, or None where the refusal is one line that can be printed."""
    found = []
    for kind in (SpikeTrace, PackedTrace):
        try:
            found.append(dict(kind.load(path)))
        except UserError as error:
            check_line(error)
            found.append(None)
    assert (found[0] is None) == (found[1] is None)
    return found[0]


@random_examples(500, 40)
@given(archives())
def test_structure(tmp_path_factory, contents):
    path = tmp_path_factory.getbasetemp() / "spoilt.trace"
    path.write_bytes(contents)
    read(path)


@pytest.mark.parametrize("kind", ["trace", "npz"])
@random_examples(300, 30)
@given(random=st.randoms(use_true_random=False))
def test_bytes(tmp_path_factory, kind, random):
    """A changed byte of packed values is found by their checksum: what is read is what was written."""
    path = tmp_path_factory.getbasetemp() / f"spoilt.{kind}"
    if kind == "trace":
        SpikeTrace(VALUES).save(path)
    else:
        np.savez_compressed(path, **VALUES)
    contents = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 4)):
        contents[random.randrange(len(contents))] = random.randrange(256)
    path.write_bytes(contents)
    found = read(path) or {}
    for name, values in found.items():
        if name in VALUES and values.shape == VALUES[name].shape and values.dtype == VALUES[name].dtype:
            assert np.array_equal(values, VALUES[name])
