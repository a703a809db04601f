"""Hostile .npz files: what is in them, what they declare, and labels that no class has."""

import json
import zipfile

import numpy as np
import pytest
from hostile.case import check_promises
from hostile.data.writers import IMAGES, LABELS, declared, npy, write_member, write_npz

from qkformer.data import load_images

ARRAYS = {  # arrays in place of the right ones -> what the line names
    "label 99": ({"labels": np.array([0, 1, 99, 3])}, ["label 2", "99", "0 to 9", "10 classes"]),
    "label -1": ({"labels": np.array([0, -1, 2, 3])}, ["label 1", "-1", "10 classes"]),
    "label 2.5": ({"labels": np.array([0, 1, 2.5, 3])}, ["label 2", "2.5", "10 classes"]),
    "label NaN": ({"labels": np.array([0, 1, np.nan, 3])}, ["label 2", "nan", "10 classes"]),
    "label of 64 bits": ({"labels": np.full(4, 2**64 - 1, np.uint64)}, ["label 0", "18446744073709551615"]),
    "labels of text": ({"labels": np.array(list("abcd"))}, ["'labels'", "<U1"]),
    "labels of bool": ({"labels": np.ones(4, bool)}, ["'labels'", "bool"]),
    "labels of objects": ({"labels": np.array([0, 1, None, 3])}, ["'labels'", "object"]),
    "labels one-hot": ({"labels": np.eye(4, 10, dtype=int)}, ["'labels'", "[4, 10]", "each of the 4"]),
    "labels too few": ({"labels": np.arange(3)}, ["'labels'", "[3]", "each of the 4"]),
    "NaN": ({"images": np.where(IMAGES > 0.5, np.nan, IMAGES)}, ["'images'", "nan"]),
    "infinity": ({"images": np.where(IMAGES > 0.5, np.inf, IMAGES)}, ["'images'", "inf"]),
    "beyond float32": ({"images": np.full((4, 1, 8, 8), 1e300)}, ["'images'", "[0, 0, 0, 0]", "1e+300"]),
    "complex": ({"images": IMAGES.astype(complex)}, ["'images'", "complex128"]),
    "bool": ({"images": IMAGES > 0.5}, ["'images'", "bool"]),
    "structured": ({"images": np.zeros((4, 1, 8, 8), [("a", "<f4")])}, ["'images'", "a"]),
    "dates": ({"images": np.zeros((4, 1, 8, 8), "M8[s]")}, ["'images'", "datetime64"]),
    "durations": ({"images": np.zeros((4, 1, 8, 8), "m8[s]")}, ["'images'", "timedelta64"]),
    "text": ({"images": np.full((4, 1, 8, 8), "a")}, ["'images'", "<U1"]),
    "bytes": ({"images": np.full((4, 1, 8, 8), b"a")}, ["'images'", "|S1"]),
    "pickled": ({"images": np.full((4, 1, 8, 8), None)}, ["'images'", "object"]),
    "void": ({"images": np.zeros((4, 1, 8, 8), "V4")}, ["'images'", "V4"]),
    "no images": ({"images": IMAGES[:0]}, ["'images'", "[0, 1, 8, 8]"]),
    "no rows": ({"images": np.zeros((4, 1, 0, 8))}, ["'images'", "[4, 1, 0, 8]"]),
    "one number": ({"images": np.float32(1)}, ["'images'", "[]"]),
    "one axis": ({"images": np.zeros(4)}, ["[B, 1, 8, 8]", "[4]"]),
    "three channels": ({"images": np.zeros((4, 3, 8, 8))}, ["[B, 1, 8, 8]", "[4, 3, 8, 8]"]),
}
CONTENTS = {  # bytes of images.npy -> what the line names
    "ten to the eleven images": (declared((10**11, 1, 8, 8)), ["declares", "[100000000000, 1, 8, 8]"]),
    "ten to the eleven channels": (declared((1, 10**11, 8, 8)), ["declares"]),
    "by columns": (declared((4, 10**11, 8, 8), fortran_order=True), ["declares"]),
    "more than a word": (declared((10**30, 1, 8, 8)), ["declares"]),
    "a negative length": (declared((-1, 1, 8, 8)), ["[-1, 1, 8, 8]"]),
    "two negative lengths": (declared((-1, -1, 8, 8)), ["[-1, -1, 8, 8]"]),
    "a length that is a bool": (declared((True, 1, 8, 8), content=bytes(256)), ["[True, 1, 8, 8]"]),
    "a length that is a float": (declared((1.0, 1, 8, 8)), ["shape"]),
    "a hundred axes": (declared((1,) * 100, "|u1", content=b"0"), ["64"]),
    "no type": (declared((1, 1, 8, 8), None), ["descr"]),
    "a type without end": (declared((1, 1, 8, 8), [("a", "<f4", 10**10)]), ["images.npz"]),
    "a call": (npy("__import__('os').mkdir('it-ran')"), ["images.npz"]),
    "brackets": (npy("(" * 5000), ["images.npz"]),
    "another version": (b"\x93NUMPY\x09\x00\x04\x00{}  ", ["images.npz"]),
    "no array": (b"hello", ["images.npz"]),
    "nothing": (b"", ["images.npz"]),
}
RIGHT = {
    "half": IMAGES.astype(np.float16),
    "double": IMAGES.astype(np.float64),
    "long": IMAGES.astype(np.longdouble),
    "big-endian": IMAGES.astype(">f4"),
    "by columns": np.asfortranarray(IMAGES),
    "bytes of 0 and 1": (IMAGES > 0.5).astype(np.uint8),
}


def refused(outcome, names):
    check_promises(outcome)
    assert outcome.status == 2, outcome
    for name in names:
        assert name in outcome.err, outcome


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, run, tmp_path):
    arrays, names = ARRAYS[name]
    write_npz(tmp_path / "bad.npz", **arrays)
    refused(run("bad.npz"), names)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents(name, run, tmp_path):
    content, names = CONTENTS[name]
    write_member(tmp_path / "images.npz", content)
    refused(run("images.npz"), names)
    assert not (tmp_path / "it-ran").exists()


def test_a_bomb(run, tmp_path):
    write_member(tmp_path / "bomb.npz", declared((4, 1, 20_000, 20_000), "|u1"), claimed=1_600_000_100)
    refused(run("bomb.npz"), ["'images'", "1,600,000,000 bytes of memory", "at most 1,073,741,824"])


@pytest.mark.parametrize("name", RIGHT)
def test_every_type_of_number_is_read_right(name, tmp_path):
    write_npz(tmp_path / "other.npz", images=RIGHT[name])
    found, labels = load_images(str(tmp_path / "other.npz"), "test")
    assert np.array_equal(found, RIGHT[name].astype(np.float32))
    assert np.array_equal(labels, LABELS)


def test_names_of_members(run, tmp_path):
    hostile = ("\x1b[31mred", "[/x]", "[bold]", "a\nb", "../up", "")
    with zipfile.ZipFile(tmp_path / "names.npz", "w") as archive:
        for name in (*hostile, *(f"a{number}" for number in range(3000))):
            archive.writestr(f"{name}.npy", b"x")
    outcome = run("names.npz")
    refused(outcome, ["\\x1b[31mred", "[/x]", "[bold]", "'images'", "more"])
    assert "\x1b" not in outcome.err
    assert len(outcome.err) < 1000


def test_images_beyond_the_range_are_told(run, tmp_path):
    write_npz(tmp_path / "twice.npz", images=2 * IMAGES, labels=LABELS)
    outcome = run("twice.npz", "--json", "o.json")
    check_promises(outcome)
    cut_off = int((np.rint(2 * IMAGES * 127) > 127).sum())
    assert (
        f"note: {cut_off} of 256 input values ({cut_off / 2.56:.2f} %) are beyond the calibrated range" in outcome.out
    )
    assert json.loads((tmp_path / "o.json").read_text())["inputs"] == {"values": 256, "saturated": cut_off}
    write_npz(tmp_path / "once.npz")
    assert "note" not in run("once.npz").out
