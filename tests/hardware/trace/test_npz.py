"""Traces as version 0.1.0 wrote them, and arrays of others; nothing is unpickled."""

import io
import zipfile

import numpy as np
import pytest

from hardware import PackedTrace, SpikeTrace, TraceError

TRACE = {
    "stage1.lif": np.array([[[0, 1]]], np.int8),
    "empty": np.zeros((4, 2, 0), np.int8),
    "output": np.asfortranarray(np.arange(24, dtype=">i4").reshape(2, 3, 4)),
    "floats": np.array([[[0.1]]]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "old.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", [SpikeTrace, PackedTrace])
def test_arrays_come_back(path, save, kind):
    save(path, **TRACE)
    loaded = kind.load(path)
    assert loaded.about == {}
    assert list(loaded) == list(TRACE)
    for name, values in TRACE.items():
        assert loaded[name].dtype == values.dtype
        np.testing.assert_array_equal(loaded[name], values)


def test_objects_are_not_unpickled(refuses, path):
    np.savez(path, a=np.array([{}], object))
    with refuses(TraceError, str(path), "'a.npy'", "object"):
        SpikeTrace.load(path)


def array(header, data=bytes(8)):
    """An .npy file that declares something."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|i1", "fortran_order": False, "shape": (2, 2, 2)} | header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (array({"shape": (10**11,)}), "100,000,000,000 bytes are declared"),
        (array({"shape": (9,)}), "9 bytes"),
        (array({"shape": (7,)}), "7 bytes"),
        (array({"shape": (-8,)}), "not a readable trace"),
        (array({"descr": [("x", "<i4"), ("y", "<i4")], "shape": (1,)}), "integers or floats"),
        (b"\x93NUMPY\x09\x00", "version (9, 0)"),
        (b"", "not a readable trace"),
        (b"no array at all", "not a readable trace"),
    ],
)
def test_a_damaged_array(refuses, path, content, part):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    with refuses(TraceError, str(path), part):
        SpikeTrace.load(path)


def test_what_numpy_does_not_write(refuses, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", array({}))
    with refuses(TraceError, "'a.npy'", "compressed in a way"):
        SpikeTrace.load(path)
    np.savez(path)
    with refuses(TraceError, "no trace.json"):
        SpikeTrace.load(path)
