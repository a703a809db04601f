import numpy as np
import pytest

from hardware import SpikeTrace, TraceError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "trace.npz"


def test_round_trip(path):
    trace = SpikeTrace(
        {
            "stage1.0.tssa.q_lif": np.array([[[0, 1]]], np.int8),
            "a": np.zeros((4, 2, 0), np.int8),
            "output": np.array([[[-(2**31), 2**31 - 1]]], np.int32),
        }
    )
    trace.save(path)
    loaded = SpikeTrace.load(path)
    assert list(loaded) == list(trace)  # the order of execution
    for name, values in trace.items():
        assert loaded[name].dtype == values.dtype
        np.testing.assert_array_equal(loaded[name], values)


def test_interrupted_write_leaves_the_old_file(path):
    old = SpikeTrace({"a": np.zeros((1, 1, 1))})
    old.save(path)

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SpikeTrace({"a": np.ones((1, 1, 1)), "b": Broken()}).save(path)
    assert SpikeTrace.load(path)["a"].item() == 0
    assert list(path.parent.iterdir()) == [path]


def truncated(data):
    return [data[:kept] for kept in (0, 1, 10, 100, len(data) // 2, -100, -1)]


def changed(data):
    """One byte within the compressed numbers is another."""
    places = range(len(data) // 3, len(data) // 3 + 20)
    return [data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :] for i in places]


@pytest.mark.parametrize("damage", [truncated, changed])
def test_damaged_file(refuses, path, damage):
    SpikeTrace({"a": np.random.default_rng(0).integers(0, 2, (10, 10, 10))}).save(path)
    for data in damage(path.read_bytes()):
        path.write_bytes(data)
        with refuses(TraceError, str(path), "not a readable trace"):
            SpikeTrace.load(path)


def test_file_that_is_no_trace(refuses, tmp_path):
    with refuses(TraceError, "nothing.npz", "no such file"):
        SpikeTrace.load(tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("spikes\n")
    with refuses(TraceError, "text.npz", "not a readable trace"):
        SpikeTrace.load(tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with refuses(TraceError, "array.npy", "not a readable trace"):
        SpikeTrace.load(tmp_path / "array.npy")


def test_objects_are_not_unpickled(refuses, tmp_path):
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with refuses(TraceError, "objects.npz"):
        SpikeTrace.load(tmp_path / "objects.npz")
