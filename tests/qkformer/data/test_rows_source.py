import numpy as np
import pytest
import torch
from digits_folder import write_digits
from labelled_images import CLASSES, gather, quietly, random_images, write_folder, write_parquet

from qkformer import load_digits
from qkformer.data import DataError, load_images, preparation
from qkformer.data.labelled_rows import LabelledRows

MIXED = [(20 + 3 * number, 40 - 2 * number) for number in range(12)]


def test_decoding_into_memory_shows_progress(parquet, capsys):
    quietly(parquet, show_progress=True)
    assert "decoding set train" in capsys.readouterr().out


def test_images_are_loaded_as_they_are(tmp_path):
    folder = str(write_digits(tmp_path, train=5, test=7))
    images, labels = load_digits("test")
    found, answers = load_images(folder, "test")
    assert torch.equal(answers, labels[:7])
    assert found.shape == (7, 1, 8, 8)
    assert torch.equal(found, (images[:7] * 255).round() / 255)
    assert torch.equal(load_images(folder, "test", 3)[0], found[:3])
    assert len(load_images(folder, "train", 256)[1]) == 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["mixed", "equal", "large"])
def test_what_is_loaded_is_what_training_evaluates(tmp_path, kind, channels):
    sizes = {"mixed": MIXED, "equal": [(16, 16)] * 5, "large": [(30, 20)] * 5}[kind]
    folder = write_folder(tmp_path / "folder", sizes)
    data = quietly(folder, image_size=16, channels=channels)
    images, labels = gather(data.test_batches(batch_size=5))
    found, answers = load_images(folder, "test", channels=channels, image_size=16)
    assert torch.equal(found, images / data.scale)
    assert torch.equal(answers, labels)
    calibration, _ = load_images(folder, "train", 3, channels=channels, image_size=16)
    assert torch.equal(calibration, found[:3])  # the same files lie there, and nothing is cut at random


def test_no_more_is_decoded_than_asked_for(tmp_path, monkeypatch):
    folder, decoded, decode = write_folder(tmp_path / "folder", MIXED), [], LabelledRows.decode
    monkeypatch.setattr(preparation, "PEEK", 2)
    monkeypatch.setattr(LabelledRows, "decode", lambda rows, row: decoded.append(row) or decode(rows, row))
    load_images(folder, "test", 3, image_size=16)
    assert len(decoded) == 5


def test_images_of_several_sizes_need_one(tmp_path):
    folder = write_folder(tmp_path / "folder", [(8, 8), (9, 8)])
    with pytest.raises(DataError, match=r"data 'folder' has images of 2 sizes; choose the image_size of all"):
        load_images(folder, "train")


def test_a_split_without_images_is_told(tmp_path):
    empty = (np.zeros((0, 6, 6, 3), np.uint8), np.zeros(0, int))
    with pytest.raises(DataError, match="data 'set' has no training images"):
        load_images(write_parquet(tmp_path / "set", train=empty), "test")


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = write_folder(tmp_path / "folder", [(8, 8)] * 3)
    (tmp_path / "folder" / "validation" / CLASSES[1] / "1.png").write_text("no image")
    with pytest.raises(DataError, match=r"data 'folder': an image, 1.png, cannot be decoded"):
        load_images(folder, "test")


def test_labels_of_other_classes_are_refused(tmp_path):
    images, labels = random_images(4)[0], np.array([0, 1, 2, 1])
    folder = write_parquet(tmp_path / "set", test=(images, labels))
    load_images(folder, "test", classes=3)
    with pytest.raises(DataError, match="label 2 is 2; labels are integers from 0 to 1, for 2 classes"):
        load_images(folder, "test", classes=2)
