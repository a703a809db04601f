import numpy as np
import pytest
import torch

from qkformer import load_data
from qkformer.data import DataError, load_images, open_images


def test_load_data_takes_every_source(tmp_path):
    images, labels = load_images("digits", "test")
    assert all(torch.equal(*pair) for pair in zip(load_data("digits", "test"), (images, labels), strict=True))
    np.savez(tmp_path / "some.npz", images=images.numpy())
    found, no_labels = load_data(str(tmp_path / "some.npz"), "test")
    assert torch.equal(found, images)
    assert no_labels is None


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="split is 'all'; it must be train or test"):
        load_images("digits", "all")
    with pytest.raises(ValueError, match="count is 0; it must be at least 1 image"):
        load_images("digits", "test", 0)
    with pytest.raises(ValueError, match="channels is 2; images have 1"):
        load_images("digits", "test", channels=2)


@pytest.mark.parametrize("options", [{"streaming": True}, {"label": "fine_label"}])
def test_what_is_read_whole_has_no_columns(options, tmp_path):
    for source in "digits", str(tmp_path / "some.npz"):
        with pytest.raises(
            DataError, match="is read whole and has one column of labels; leave out streaming and label"
        ):
            open_images(source, channels=1, image_size=8, **options)


@pytest.mark.parametrize("name", ["cifer10", "/no/where", "./no", "a/b/c", "../no", "uoft-cs/cifar10", "a/b:c"])
def test_what_is_nowhere_is_not_asked_for(no_network, name):
    with pytest.raises(DataError, match=rf"data '{name}': no such folder; write .*hub:OWNER/NAME"):
        load_images(name, "test")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "train.parquet").touch()
    with pytest.raises(DataError, match=r"train.parquet': not a folder; write digits, or a folder"):
        load_images(str(tmp_path / "train.parquet"), "test")
