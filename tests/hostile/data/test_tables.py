"""Hostile parquet files: without pictures, rows that are null, wrong types, several labels, huge row groups."""

import pytest
from hostile.case import check_promises
from hostile.data.writers import encoded, picture

datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

PICTURE = {"bytes": encoded(picture(), "PNG"), "path": "a.png"}
LABELS = datasets.ClassLabel(names=["a", "b"])


def plain(**columns):
    """A table as pyarrow has it, without a word of what its columns mean."""
    return lambda path: pq.write_table(pa.table(columns), path)


def table(images, labels, **columns):
    """A table that says what its columns are."""
    features = datasets.Features({"image": datasets.Image(), "label": LABELS} | dict.fromkeys(columns, LABELS))

    def write(path):
        rows = {"image": images, "label": labels} | columns
        datasets.Dataset.from_dict(rows, features).to_parquet(path)

    return write


CASES = {
    "numbers": (plain(a=[1, 2], b=[3, 4]), ["image"]),
    "no rows": (plain(a=pa.array([], pa.int64())), ["table"]),
    "text as pictures": (plain(image=["x", "y"], label=[0, 1]), ["image"]),
    "no picture in a row": (table([PICTURE, None], [0, 1]), ["image"]),
    "bytes that are no picture": (table([PICTURE, {"bytes": b"no", "path": None}], [0, 1]), ["cannot be decoded"]),
    "a path elsewhere": (table([{"bytes": None, "path": "/etc/passwd"}] * 2, [0, 1]), ["cannot be decoded"]),
    "no label in a row": (table([PICTURE, PICTURE], [0, None]), ["label"]),
    "two columns of labels": (table([PICTURE, PICTURE], [0, 1], fine=[1, 0]), ["'label', 'fine'", "choose one"]),
    "no parquet": (lambda path: path.write_bytes(b"PAR1 nothing PAR1"), ["table"]),
    "empty": (lambda path: path.write_bytes(b""), ["table"]),
}
SHORT = ("two columns of labels", "no parquet", "a path elsewhere")


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in CASES])
def test_tables(name, run, tmp_path):
    write, names = CASES[name]
    (tmp_path / "table").mkdir()
    for split in "train", "test":
        write(tmp_path / "table" / f"{split}.parquet")
    outcome = run("table")
    check_promises(outcome)
    assert outcome.status == 2, outcome
    for part in names:
        assert part in outcome.err, outcome


def test_a_column_of_labels_can_be_chosen(run, tmp_path):
    (tmp_path / "table").mkdir()
    for split in "train", "test":
        table([PICTURE, PICTURE], [0, 1], fine=[1, 0])(tmp_path / "table" / f"{split}.parquet")
    assert run("table", "--label", "fine").status == 0
    assert "no column 'coarse'" in run("table", "--label", "coarse").err


def test_a_huge_row_group(monkeypatch, tmp_path):
    from qkformer.data import DataError, labelled_rows, load_images

    (tmp_path / "table").mkdir()
    for split in "train", "test":
        table([PICTURE, PICTURE], [0, 1])(tmp_path / "table" / f"{split}.parquet")
    monkeypatch.setattr(labelled_rows, "LARGEST_ROW_GROUP", 100)
    with pytest.raises(DataError, match=r"row group 0 is of .* at most 100 are possible"):
        load_images(str(tmp_path / "table"), "test")
