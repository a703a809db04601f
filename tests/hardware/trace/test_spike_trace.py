import numpy as np
import pytest

from hardware import SpikeTrace, TraceError

NAMES = ["stage1.0.tssa.q_lif", "file", "allow_pickle", "a/b", "../up", "trace.json", "0", "", "Ü\n\ud800"]
TYPES = [np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float32, np.float64, ">i4", ">f8"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "a.trace"


def equal(first, second):
    assert list(first) == list(second)  # the order of execution
    for name, values in first.items():
        assert second[name].dtype == values.dtype
        np.testing.assert_array_equal(second[name], values)


def test_round_trip(path):
    trace = SpikeTrace(
        {
            "second": np.array([[[0, 1]]], np.int8),
            "a": np.zeros((4, 2, 0), np.int8),
            "output": np.array([[[-(2**31), 2**31 - 1]]], np.int32),
            "float output": np.array([[[0.1, -np.inf, 1e-300]]]),
        },
        about={"graph": "abc", "versions": {"nir": "1.0"}},
    )
    trace.save(path)
    loaded = SpikeTrace.load(path)
    equal(trace, loaded)
    assert loaded.about == trace.about
    loaded["second"][0, 0, 0] = 1  # writable


def test_names_are_data(path):
    trace = SpikeTrace({name: np.full((1, 1, 1), number, np.int32) for number, name in enumerate(NAMES)})
    trace.save(path)
    equal(trace, SpikeTrace.load(path))


@pytest.mark.parametrize("dtype", TYPES)
def test_types(path, dtype):
    values = np.arange(2 * 3 * 7).reshape(2, 3, 7).astype(dtype)
    SpikeTrace({"a": values, "columns first": np.asfortranarray(values), "every other": values[:, :, ::2]}).save(path)
    loaded = SpikeTrace.load(path)
    equal({"a": values, "columns first": values, "every other": values[:, :, ::2]}, loaded)


@pytest.mark.parametrize("values", [[["spike"]], [[None]], [[1j]]])
def test_values_that_no_target_has(refuses, path, values):
    with refuses(TraceError, "'a'", "integers or floats"):
        SpikeTrace({"a": np.array(values)}).save(path)
    assert not path.exists()


def test_about_what_cannot_be_written(refuses, path):
    with refuses(TraceError, str(path), "about", "ndarray"):
        SpikeTrace(about={"inputs": np.zeros(3)}).save(path)


def test_like_a_dict():
    trace = SpikeTrace({"first": np.zeros((1, 1, 2))}, {"graph": "abc"})
    more = trace | {"second": np.ones((1, 1, 1))}
    assert list(trace) == ["first"]
    assert list(more) == ["first", "second"]
    assert more.about == trace.about
    assert isinstance(more, SpikeTrace)
    kept = more
    kept |= {"first": np.ones((1, 1, 1))}
    assert kept is more
    assert more == {"first": [[[1]]], "second": [[[1]]]}
    assert more.pop("first").size == 1
    assert more.keys() == {"second"}
    assert "first" not in more
    assert repr(more) == "SpikeTrace(second)"
    assert list(SpikeTrace(more)) == list(SpikeTrace(iter(more.items()))) == ["second"]


def test_interrupted_write_leaves_the_old_file(path):
    old = SpikeTrace({"a": np.zeros((1, 1, 1))})
    old.save(path)

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise KeyboardInterrupt

    broken = SpikeTrace({"a": np.ones((1, 1, 1)), "b": Broken()})
    with pytest.raises(KeyboardInterrupt):
        broken.save(path)
    assert SpikeTrace.load(path)["a"].item() == 0
    assert list(path.parent.iterdir()) == [path]
