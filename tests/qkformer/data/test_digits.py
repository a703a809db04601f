import pytest
import torch

from qkformer import load_data, load_digits


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
    with pytest.raises(ValueError, match="no data set is called 'mnist'; there are digits"):
        load_data("mnist", "test")
