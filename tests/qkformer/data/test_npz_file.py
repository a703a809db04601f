import zipfile

import numpy as np
import pytest

from qkformer.data import DataError
from qkformer.data.npz_file import array_names, read_array


@pytest.mark.parametrize("count", [None, 1, 3, 9])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_first_entries_are_those_of_numpy(tmp_path, save, count):
    rng = np.random.default_rng(0)
    arrays = {"rows": rng.random((5, 3, 2)), "columns": rng.random((2, 3, 5)).T, "bytes": np.arange(5, dtype=">u2")}
    save(tmp_path / "some.npz", **arrays)
    assert array_names(tmp_path / "some.npz") == list(arrays)
    for name, array in arrays.items():
        found, shape = read_array(tmp_path / "some.npz", name, count)
        assert np.array_equal(found, array[:count])
        assert (found.dtype, shape) == (array.dtype, array.shape)


def test_no_more_is_read_than_asked_for(tmp_path, monkeypatch):
    np.savez(tmp_path / "some.npz", images=np.zeros((1000, 64)))
    sizes, read = [], zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda file, size=-1: sizes.append(size) or read(file, size))
    read_array(tmp_path / "some.npz", "images", 2)
    assert max(sizes) == 2 * 64 * 8
    assert min(sizes) > 0


def test_damage_is_told(tmp_path):
    with pytest.raises(DataError, match=r"gone.npz: no such file"):
        array_names(tmp_path / "gone.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(DataError, match=r"text.npz: not a readable .npz file"):
        array_names(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", images=np.array([None]))
    with pytest.raises(DataError, match=r"objects.npz: 'images' is of type object; integers or floats are needed"):
        read_array(tmp_path / "objects.npz", "images")
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        np.save(tmp_path / "long.npy", np.zeros(100))
        archive.writestr("images.npy", (tmp_path / "long.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match=r"short.npz: 'images' declares \[100\] of float64, 800 bytes, and holds 792"):
        read_array(tmp_path / "short.npz", "images")
