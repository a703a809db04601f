import sys

import pytest
import torch

from qkformer import load_data, load_digits
from qkformer.data import DataError, load_images, open_images


def test_digits_are_split_once_and_for_all():
    images, labels = load_digits("test")
    assert images.shape == (360, 1, 8, 8)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert images.min() == 0
    assert images.max() == 1
    # A fifth of every class.
    everything = torch.cat([labels, load_digits("train")[1]]).bincount()
    assert everything.sum() == 1797
    assert (labels.bincount() - everything / 5).abs().max() < 1
    # The very same images for ever: accuracies are only comparable on these.
    assert (images[::50, 0].sum((1, 2)) * 16).int().tolist() == [329, 326, 276, 314, 315, 359, 299, 303]


def test_no_image_is_in_both_splits():
    train, test = (set(map(bytes, load_digits(split)[0].numpy())) for split in ("train", "test"))
    assert len(train) == 1437
    assert not train & test


def test_unknown_names_are_told_apart():
    with pytest.raises(ValueError, match="split is 'validation'; it must be train or test"):
        load_digits("validation")
    with pytest.raises(ValueError, match="data 'mnist': no such folder; write digits, or"):
        load_data("mnist", "test")


@pytest.mark.parametrize("channels", [1, 3])
def test_they_need_no_datasets(monkeypatch, channels):
    monkeypatch.setitem(sys.modules, "datasets", None)
    data = open_images("digits", channels=channels, image_size=8)
    assert (data.classes, data.train_size, data.test_size, data.scale) == (10, 1437, 360, 16)
    images, labels = map(torch.cat, zip(*data.test_batches(batch_size=100), strict=True))
    originals, their_labels = load_digits("test")
    assert images.dtype == torch.uint8
    assert torch.equal(images / data.scale, originals.expand(-1, channels, -1, -1))
    assert torch.equal(labels, their_labels)
    found, answers = load_images("digits", "test", 7, channels=channels, image_size=8)
    assert torch.equal(found, images[:7] / data.scale)
    assert torch.equal(answers, labels[:7])


def test_they_are_of_one_size():
    message = "'digits' is of 8x8 images; the model takes 32x32"
    with pytest.raises(DataError, match=message):
        open_images("digits", channels=1, image_size=32)
    with pytest.raises(DataError, match=message):
        load_images("digits", "test", image_size=32)
