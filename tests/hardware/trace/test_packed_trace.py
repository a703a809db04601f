import zipfile

import numpy as np
import pytest

import hardware
from hardware import PackedTrace, SpikeTrace, TraceError
from hardware.errors import InputError


@pytest.fixture
def trace():
    random = np.random.default_rng(0)
    return {
        "stage1.lif": (random.random((4, 3, 5, 7, 7)) < 0.2).astype(np.int8),
        "counts": random.integers(-9, 10, (4, 3, 3)).astype(np.int8),
        "output": random.integers(-100_000, 100_000, (4, 3, 10)).astype(np.int32),
    }


@pytest.mark.parametrize("limit", [None, 0, 0.0001, 1])
def test_values_come_back(trace, limit, tmp_path):
    packed = PackedTrace(limit, {"inputs": "abc"})
    packed.update(trace)
    packed.save(tmp_path / "a.trace")
    loaded = PackedTrace.load(tmp_path / "a.trace", limit)
    assert loaded.about == {"inputs": "abc"}
    for side in (packed, loaded):
        assert list(side) == list(trace)
        for name, values in trace.items():
            assert side[name].dtype == values.dtype
            np.testing.assert_array_equal(side[name], values)
        assert hardware.compare(trace, side).mismatches == 0


def test_spikes_take_a_bit_or_less(trace, tmp_path):
    packed = PackedTrace()
    packed["stage1.lif"] = trace["stage1.lif"]
    packed.save(tmp_path / "a.trace")
    with zipfile.ZipFile(tmp_path / "a.trace") as archive:
        assert archive.getinfo("0").file_size <= trace["stage1.lif"].size / 8 + 16


@pytest.mark.parametrize(("limit", "on_disk"), [(None, False), (10, False), (0.0001, True), (0, True)])
def test_what_exceeds_the_limit_goes_to_disk(trace, limit, on_disk):
    packed = PackedTrace(limit)
    packed.update(trace)
    assert packed.on_disk is on_disk


def test_replaced_and_deleted(trace):
    packed = PackedTrace()
    packed.update(trace)
    packed["counts"] = trace["counts"] + 1
    np.testing.assert_array_equal(packed["counts"], trace["counts"] + 1)
    del packed["output"]
    assert list(packed) == ["stage1.lif", "counts"]


def test_a_negative_limit(refuses):
    with refuses(InputError, "-1 MB", "at least 0"):
        PackedTrace(-1)


def test_a_missing_file(refuses, tmp_path):
    with refuses(TraceError, "gone.trace", "no such file"):
        PackedTrace.load(tmp_path / "gone.trace")


def test_one_file_format(trace, tmp_path):
    """What either writes, the other reads; a PackedTrace is a SpikeTrace."""
    packed = PackedTrace(about={"inputs": "abc"})
    packed.update(trace)
    assert isinstance(packed, SpikeTrace)
    packed.save(tmp_path / "packed.trace")
    SpikeTrace(trace, {"inputs": "abc"}).save(tmp_path / "plain.trace")
    for found in (SpikeTrace.load(tmp_path / "packed.trace"), PackedTrace.load(tmp_path / "plain.trace")):
        assert found.about == {"inputs": "abc"}
        assert hardware.compare(trace, found).mismatches == 0


def test_a_name_is_found_without_unpacking(trace, monkeypatch):
    packed = PackedTrace()
    packed.update(trace)
    monkeypatch.setattr("hardware.trace.packing.Packed.unpack", None)
    assert "counts" in packed
    assert "other" not in packed
    assert packed.keys() & {"counts", "other"} == {"counts"}


def test_values_that_are_no_numbers(refuses):
    with refuses(TraceError, "'words'", "<U5", "integers or floats"):
        PackedTrace()["words"] = np.array([[["spike"]]])
