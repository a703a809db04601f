import shutil
import sys

import datasets
import numpy as np
import pytest
import torch
from labelled_images import TEST, TRAIN, gather, quietly, random_images, same, write_parquet

from qkformer.data import DataError, rows_source


def test_without_datasets_the_error_says_what_to_install(monkeypatch, parquet):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'pip install "qkformer\[train\]"'):
        quietly(parquet)


def test_identity_tells_data_sets_apart_but_not_places(tmp_path, parquet, monkeypatch):
    def identities(source, **options):
        kept = [quietly(source, streaming=streaming, **options).identity() for streaming in (False, True)]
        with monkeypatch.context() as context:
            context.setattr(rows_source, "IN_MEMORY", 0)
            return [*kept, quietly(source, **options).identity()]

    first = identities(parquet)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(parquet, elsewhere / "set")
    assert identities(str(elsewhere / "set")) == first
    assert str(tmp_path) not in str(first)
    write_parquet(elsewhere / "set", train=random_images(TRAIN, seed=5))
    for old, new in zip(first, identities(str(elsewhere / "set")), strict=True):
        assert old != new
        assert old["fingerprint"] != new["fingerprint"]
    assert first[0]["sizes"] == {"train": TRAIN, "test": TEST}
    assert first[0]["order"] != first[1]["order"]


def test_shards_are_one_split(tmp_path, parquet):
    whole = gather(quietly(parquet).test_batches(batch_size=TEST))
    table = datasets.Dataset.from_parquet(f"{parquet}/test.parquet")
    for number in range(2):
        shard = table.shard(2, number, contiguous=True)
        shard.to_parquet(tmp_path / "set" / f"test-{number:05}-of-00002.parquet")
    (tmp_path / "set" / "test.parquet").unlink()
    (tmp_path / "set" / "train.parquet").rename(tmp_path / "set" / "train-00000-of-00001.parquet")
    data = quietly(parquet)
    assert data.train_size == TRAIN
    assert same([whole], [gather(data.test_batches(batch_size=3))])


def test_secret_labels_are_not_tested_on(tmp_path):
    images, labels = random_images(5, seed=2)
    source = write_parquet(tmp_path / "set", test=(images, np.full(5, -1)))
    with pytest.raises(DataError, match="has no split to test on: none of test, validation"):
        quietly(source)
    write_parquet(tmp_path / "other", test=(images, labels))
    shutil.copy(tmp_path / "other" / "test.parquet", tmp_path / "set" / "validation.parquet")
    assert torch.equal(gather(quietly(source).test_batches(batch_size=5))[1], torch.from_numpy(labels))


def test_a_missing_label_is_told(tmp_path):
    images, labels = random_images(5)
    labels[3] = -1
    with pytest.raises(DataError, match="a label is -1; classes are 0 to 2"):
        quietly(write_parquet(tmp_path / "set", train=(images, labels)))


def test_columns_are_found_by_their_type(tmp_path):
    coarse = datasets.ClassLabel(names=["a", "b", "c"])
    two = write_parquet(tmp_path / "two", label="fine", coarse=coarse)
    with pytest.raises(DataError, match=r"several columns of labels \(ClassLabel\): \['fine', 'coarse'\]; choose one"):
        quietly(two)
    assert quietly(two, label="coarse").class_names == ("a", "b", "c")
    assert quietly(two, label="fine").identity() != quietly(two, label="coarse").identity()
    with pytest.raises(DataError, match="has no column 'kind' of labels"):
        quietly(two, label="kind")
    for number, split in enumerate(("train", "test")):
        table = datasets.Dataset.from_dict({"text": ["a"], "number": [number]})
        table.to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(DataError, match=r"no column of images \(Image\) \(all its columns: \['text', 'number'\]\)"):
        quietly(str(tmp_path))


def test_splits_that_are_missing_are_told(tmp_path, parquet):
    (tmp_path / "set" / "test.parquet").rename(tmp_path / "set" / "extra.txt")
    with pytest.raises(DataError, match="has no split to test on"):
        quietly(parquet)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="empty' cannot be read"):
        quietly(str(empty))
