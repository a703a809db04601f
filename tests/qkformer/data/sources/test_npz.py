import numpy as np
import pytest
import torch

from qkformer.data import DataError, load_images, open_images


def splits(train=6, test=4, side=8, classes=3):
    """Arrays for training."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", train), ("test", test)):
        arrays[f"{split}_images"] = rng.random((count, 1, side, side), np.float32)
        arrays[f"{split}_labels"] = rng.integers(0, classes, count).astype(np.uint8)
    return arrays


@pytest.fixture
def write(tmp_path):
    """Writes arrays, and returns the file's name."""

    def write(**arrays):
        np.savez_compressed(tmp_path / "some.npz", **arrays)
        return str(tmp_path / "some.npz")

    return write


def test_images_serve_for_either_split(write):
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
    source = write(images=images, labels=np.arange(5))
    for split in "train", "test":
        found, labels = load_images(source, split, 3, channels=1, image_size=9)  # taken as they are, in any shape
        assert found.dtype == torch.float32
        assert np.array_equal(found, images[:3])
        assert labels.tolist() == [0, 1, 2]
    assert load_images(write(images=images), "test")[1] is None
    assert load_images(write(images=np.ones((2, 16, 2, 8, 8))), "test")[0].shape == (2, 16, 2, 8, 8)


def test_a_split_has_its_own_images(write):
    arrays = splits()
    source = write(**arrays, images=np.ones((1, 1, 8, 8)))
    for split in "train", "test":
        found, labels = load_images(source, split, classes=3)
        assert np.array_equal(found, arrays[f"{split}_images"])
        assert np.array_equal(labels, arrays[f"{split}_labels"])
    del arrays["test_images"]
    with pytest.raises(
        DataError, match=r"some.npz: has train_images, .*; an array 'images' or 'test_images' is needed"
    ):
        load_images(write(**arrays), "test")


def test_what_is_loaded_is_what_training_evaluates(write):
    source = write(**splits())
    data = open_images(source, channels=1, image_size=8, classes=5)
    assert (data.name, data.classes, data.train_size, data.test_size) == ("some.npz", 5, 6, 4)
    images, labels = map(torch.cat, zip(*data.test_batches(batch_size=3), strict=True))
    found, answers = load_images(source, "test")
    assert torch.equal(found, images / data.scale)
    assert torch.equal(answers, labels)
    assert "some.npz" in str(data.identity())
    other = open_images(write(**splits(train=7)), channels=1, image_size=8)
    assert other.identity()["fingerprint"][0] != data.identity()["fingerprint"][0]
    assert other.classes == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_labels": None}, "training needs train_images, .*, test_labels; train_labels are missing"),
        ({"test_images": np.ones((4, 1, 8, 9))}, r"'test_images' is \[4, 1, 8, 9\]; the model takes \[N, 1, 8, 8\]"),
        ({"test_images": np.ones((4, 64))}, r"'test_images' is \[4, 64\]; the model takes \[N, 1, 8, 8\]"),
        ({"train_images": np.full((6, 1, 8, 8), 255)}, "'train_images' is from 255 to 255; training takes images in"),
        (
            {"train_images": np.full((6, 1, 8, 8), np.nan)},
            r"'train_images': the value at \[0, 0, 0, 0\] is nan; finite float32 numbers are needed",
        ),
        (
            {"train_labels": np.full(6, 3)},
            "'train_labels': label 0 is 3; labels are integers from 0 to 2",
        ),
        (
            {"test_labels": np.array([0, 1, 2, -1])},
            "'test_labels': label 3 is -1; labels are integers from 0 to 2",
        ),
        ({"test_labels": np.ones(3, int)}, r"'test_labels' is int64 \[3\]; an integer for each of the 4 images"),
        ({"test_labels": np.array([0, 1, 2.5, 1])}, r"'test_labels': label 2 is 2.5 \(float64\); labels are integers"),
    ],
)
def test_what_cannot_be_trained_on_is_told(write, changed, message):
    arrays = {name: array for name, array in (splits() | changed).items() if array is not None}
    with pytest.raises(DataError, match=message):
        open_images(write(**arrays), channels=1, image_size=8, classes=3)


@pytest.mark.parametrize(
    ("label", "classes", "message"),
    [
        (10, 10, "label 2 is 10; labels are integers from 0 to 9"),
        (-1, None, "label 2 is -1; labels are integers from 0 to"),
    ],
)
def test_labels_out_of_range_are_refused(write, label, classes, message):
    source = write(images=np.ones((3, 1, 8, 8)), labels=np.array([1, 2, label]))
    assert load_images(source, "test", 2, classes=classes)[1].tolist() == [1, 2]
    with pytest.raises(DataError, match=message):
        load_images(source, "test", classes=classes)
