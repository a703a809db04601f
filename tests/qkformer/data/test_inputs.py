from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_images import write_folder

from qkformer import get_config
from qkformer.data import DataError, load_calibration, load_images, load_inputs

DIGITS = get_config("qkformer-digits")
FREE = replace(DIGITS, fixed_size=False)
EVENTS = get_config("qkformer-dvs128")


@pytest.fixture
def npz(tmp_path):
    """Writes images of a shape to a file."""

    def npz(*shape, **arrays):
        np.savez(tmp_path / "some.npz", images=np.ones(shape, np.float32), **arrays)
        return str(tmp_path / "some.npz")

    return npz


def test_images_are_brought_to_the_model(tmp_path):
    folder = write_folder(tmp_path / "folder", [(9, 12), (20, 10), (8, 8)])
    for config in DIGITS, FREE:
        images, labels = load_inputs(folder, config, count=2)
        expected = load_images(folder, "test", 2, channels=1, image_size=8)
        assert images.shape == (2, 1, 8, 8)
        assert torch.equal(images, expected[0])
        assert torch.equal(labels, expected[1])


def test_calibration_is_never_held_out():
    images = load_calibration("digits", DIGITS)
    assert torch.equal(images, load_images("digits", "train", 256)[0])


def test_a_file_keeps_its_size_where_the_model_lets_it(npz):
    assert load_inputs(npz(2, 1, 16, 24), FREE)[0].shape == (2, 1, 16, 24)
    with pytest.raises(
        DataError, match=r"qkformer-digits takes images of shape \[N, 1, 8, 8\]; data .* has \[2, 1, 16"
    ):
        load_inputs(npz(2, 1, 16, 24), DIGITS)
    with pytest.raises(DataError, match=r"takes images of shape \[N, 1, H, W\]; data .* has \[2, 3, 8, 8\]"):
        load_inputs(npz(2, 3, 8, 8), FREE)


def test_events_come_from_files_alone(npz):
    assert load_calibration(npz(2, 16, 2, 128, 128), EVENTS).shape == (2, 16, 2, 128, 128)
    with pytest.raises(DataError, match=r"\[N, 16, 2, 128, 128\]; data 'digits' has \[360, 1, 8, 8\]"):
        load_inputs("digits", EVENTS)


def test_labels_are_those_of_the_model(npz):
    with pytest.raises(DataError, match="is 10; labels are integers from 0 to 9, for 10 classes"):
        load_inputs(npz(2, 1, 8, 8, labels=np.array([3, 10])), DIGITS)
