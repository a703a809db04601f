"""Readers of data on containers that are whole and hold anything, and on bytes turned over."""

import contextlib
import io
import json
import math
import warnings
import zipfile

import pytest
from amount import random_examples
from hostile.data.writers import IMAGES, LABELS, encoded, picture, write_npz
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from hardware.errors import InputError, UserError
from hardware.report.about import About
from qkformer.data import load_images
from qkformer.data.decode import as_mode, pixels, read_picture

REFUSALS = (UserError, OSError)
NAMES = st.sampled_from(["images", "labels", "test_images", "test_labels", "train_images", "x", "[/x]", "\x1b[2K", ""])
TYPES = st.sampled_from(
    ["?", "i1", "u1", "<i8", ">i8", "<u8", "<f2", ">f4", "<f8", "<c8", "O", "S3", "U2", "M8[s]", "V2"]
)
LENGTHS = st.one_of(st.integers(0, 9), st.sampled_from([-1, 2**31, 2**63, 10**30, True, 1.0, None, "a"]))
SHAPES = st.one_of(st.just((4, 1, 8, 8)), st.lists(LENGTHS, max_size=6).map(tuple))
ARRAYS = st.fixed_dictionaries(
    {
        "descr": st.one_of(
            TYPES, TYPES, st.sampled_from([None, 3, [], [("a", "<f4")], [("a", "<f4", 10**9)], "x", ""])
        ),
        "fortran_order": st.sampled_from([False, False, True, None, 7]),
        "shape": SHAPES,
    },
    optional={"more": st.just(1)},
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def load(path, **options):
    """All that a command does with a source, in this process: images that could go on, or a refusal."""
    with contextlib.suppress(*REFUSALS):
        images, labels = load_images(str(path), "test", 4, **options)
        assert images.isfinite().all()
        assert labels is None or len(labels) == len(images)


def member(header, content, version):
    text = (repr(header) + "\n").encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + content


@random_examples(300, 30)
@given(
    arrays=st.dictionaries(
        NAMES, st.tuples(ARRAYS, st.integers(0, 9000), st.sampled_from([1, 1, 1, 2, 3])), max_size=4
    ),
    suffix=st.sampled_from([".npy", ".npy", ".npy", "", ".txt"]),
    classes=st.sampled_from([None, 10, 1]),
)
def test_arrays_of_anything(arrays, suffix, classes, place):
    path = place / "any.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, (header, size, version) in arrays.items():
            archive.writestr(f"{name}{suffix}" or "none", member(header, bytes(range(256)) * (size // 256), version))
    load(path, classes=classes)


def turned_over(content):
    """The content with a few bytes turned over, cut, or put in."""
    where = st.integers(0, len(content) - 1)
    turns = st.lists(st.tuples(where, st.integers(0, 255)), min_size=1, max_size=8)
    return st.builds(_change, st.just(content), turns, st.none() | where, st.binary(max_size=4))


def _change(content, turns, end, more):
    changed = bytearray(content)
    for place, value in turns:
        changed[place] = value
    return bytes(changed[:end]) + more


def valid_npz():
    content = io.BytesIO()
    write_npz(content, images=IMAGES, labels=LABELS)
    return content.getvalue()


@random_examples(120, 12)
@given(content=turned_over(valid_npz()))
def test_npz_files_with_bytes_turned_over(content, place):
    (place / "any.npz").write_bytes(content)
    load(place / "any.npz", classes=10)


FORMATS = {
    kind: encoded(picture((9, 7), mode), kind)
    for kind, mode in (("PNG", "RGBA"), ("JPEG", "RGB"), ("GIF", "P"), ("TIFF", "CMYK"), ("BMP", "RGB"), ("PPM", "L"))
}


@random_examples(150, 12)
@given(
    content=st.sampled_from(sorted(FORMATS)).flatmap(lambda kind: turned_over(FORMATS[kind])),
    channels=st.sampled_from([1, 3]),
)
def test_pictures_with_bytes_turned_over(content, channels):
    def decode(stored):
        image = Image.open(io.BytesIO(stored["bytes"]))
        image.load()
        return image

    with contextlib.suppress(*REFUSALS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pixels(as_mode(read_picture({"bytes": content, "path": "a.png"}, decode), channels))
        assert found.shape[0] == channels


@random_examples(40, 2)
@given(data=st.data())
def test_tables_of_anything(data, place):
    pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")
    import datasets
    import pyarrow as pa
    import pyarrow.parquet

    datasets.disable_progress_bars()
    names = data.draw(
        st.lists(st.sampled_from(["image", "label", "fine", "[/x]"]), min_size=1, max_size=3, unique=True)
    )
    stored = {"bytes": encoded(picture(), "PNG"), "path": "a.png"}
    columns = {
        name: data.draw(
            st.sampled_from(
                [[stored] * 3, [stored, None, stored], [{"bytes": b"no", "path": None}] * 3, [0, 1, 0], [0, None, 9],
                 ["a", "b", "a"], [[1], [2, 3], []], [math.nan] * 3, [b"x"] * 3, [None] * 3]
            )
        )
        for name in names
    }  # fmt: skip
    kinds = st.sampled_from(
        [{"_type": "Image"}, {"_type": "ClassLabel", "names": ["a", "b"]}, {"_type": "No"}, 7, None]
    )
    said = {name: data.draw(kinds) for name in names}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": said}})})
    folder = place / "table"
    folder.mkdir(exist_ok=True)
    for split in "train", "test":
        pa.parquet.write_table(table, folder / f"{split}.parquet")
    load(folder, classes=10, image_size=8, channels=1)


ABOUT = {
    "population": "a",
    "populations": ["a"],
    "sources": ["b"],
    "target": "interpreter",
    "options": {"fused": True},
    "explanation": {"causes": [{"kind": "weight", "text": "wrong"}]},
    "versions": {"numpy": "1"},
}


@random_examples(150, 15)
@given(changed=st.dictionaries(st.sampled_from([*ABOUT, "chip"]), JSON, min_size=1, max_size=3), chip=JSON)
def test_what_a_bundle_says_of_itself(changed, chip, place):
    about = ABOUT | changed
    if isinstance(about["options"], dict):
        about["options"] = about["options"] | {"chip": chip}
    (place / "about.json").write_text(json.dumps(about))
    assume(about != ABOUT)
    with contextlib.suppress(InputError):
        About.read(place / "about.json")


@random_examples(40, 4)
@given(content=turned_over(json.dumps(ABOUT).encode()))
def test_about_with_bytes_turned_over(content, place):
    (place / "about.json").write_bytes(content)
    with contextlib.suppress(InputError):
        About.read(place / "about.json")
