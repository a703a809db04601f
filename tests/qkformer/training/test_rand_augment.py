"""Each operation against Pillow's, which timm's RandAugment and hence the papers use."""

import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from qkformer.training.augment import Augmentation
from qkformer.training.draws import Draws
from qkformer.training.rand_augment import OPERATIONS, rand_augment

kornia = pytest.importorskip("kornia.enhance", reason="kornia is an optional package")
SIZE = 32
FILL = 128


def affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=FILL3)


FILL3 = (FILL,) * 3
REFERENCES = {  # of an image and a magnitude in [-1, 1]
    "auto_contrast": lambda image, v: ImageOps.autocontrast(image),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "invert": lambda image, v: ImageOps.invert(image),
    "rotate": lambda image, v: image.rotate(30 * v, Image.Resampling.BILINEAR, fillcolor=FILL3),
    "posterize": lambda image, v: ImageOps.posterize(image, 4 - int(abs(v) * 4)),
    "solarize": lambda image, v: ImageOps.solarize(image, 256 - int(abs(v) * 256)),
    "solarize_add": lambda image, v: image.point([i + int(110 * abs(v)) if i < 128 else i for i in range(256)] * 3),
    "color": lambda image, v: ImageEnhance.Color(image).enhance(1 + 0.9 * v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(1 + 0.9 * v),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(1 + 0.9 * v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * v),
    "shear_x": lambda image, v: affine(image, (1, 0.3 * v, 0, 0, 1, 0)),
    "shear_y": lambda image, v: affine(image, (1, 0, 0, 0.3 * v, 1, 0)),
    "translate_x": lambda image, v: affine(image, (1, 0, 0.45 * v * SIZE, 0, 1, 0)),
    "translate_y": lambda image, v: affine(image, (1, 0, 0, 0, 1, 0.45 * v * SIZE)),
}


def colourful():
    """Smooth, of all brightnesses, with the colours apart."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    waves = [np.sin(3 * x + 2 * y + shift) * np.cos(4 * y - shift) for shift in (0.0, 1.0, 2.0)]
    return Image.fromarray((np.stack(waves, axis=-1) * 100 + 120).astype(np.uint8))


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def test_every_operation_has_a_reference():
    assert OPERATIONS.keys() == REFERENCES.keys()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [-0.9, -0.35, 0.6, 0.9])
def test_an_operation_is_pillows(name, magnitude):
    image = as_tensor(colourful())
    # Beside another image and magnitude, which must not matter.
    batch, signed = torch.cat([image.flip(-1), image]), torch.tensor([0.2, magnitude])
    ours = OPERATIONS[name](kornia, batch, signed, torch.full((3, 1, 1), FILL / 255))[1].clamp(0, 1)
    reference = as_tensor(REFERENCES[name](colourful(), magnitude))[0]
    difference = (ours - reference).abs()
    # Pillow rounds to whole values; what lies on the border itself it does not blend with the colour beyond.
    share = 0.93 if name.startswith(("rotate", "shear", "translate")) else 1.0
    assert (difference <= 2.01 / 255).float().mean() >= share
    assert not torch.equal(ours, image[0])


def test_grey_images_have_no_colour_to_change():
    image = as_tensor(colourful())[:, :1]
    assert torch.equal(OPERATIONS["color"](kornia, image, torch.tensor([0.9]), torch.zeros(1, 1, 1)), image)


def test_a_channel_of_one_value_is_not_stretched():
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert torch.equal(OPERATIONS["auto_contrast"](kornia, flat, torch.tensor([0.9]), torch.zeros(1, 1, 1)), flat)


def test_images_are_treated_one_by_one(monkeypatch):
    seen = {name: [] for name in OPERATIONS}

    def spy(name):
        def operation(enhance, images, signed, colour):
            seen[name].extend(signed.tolist())
            return images

        return operation

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, spy(name))
    images = torch.rand(6000, 1, 2, 2)
    rand_augment(images, 1, 5.0, 0.5, Draws(0, 6000), torch.zeros(1, 1, 1))
    counts = np.array([len(values) for values in seen.values()])
    assert abs(counts - 200).max() < 60  # 6000 / 2 / 15, within four standard deviations
    magnitudes = torch.tensor([value for values in seen.values() for value in values]) * 10
    assert abs(magnitudes.abs().mean() - 5) < 0.05
    assert abs(magnitudes.abs().std() - 0.5) < 0.05
    assert abs((magnitudes > 0).float().mean() - 0.5) < 0.05


def test_two_operations_do_more_than_one():
    images = torch.rand(200, 3, 8, 8)
    one, two = (
        rand_augment(images, count, 9.0, 0.0, Draws(1, 200), torch.zeros(1, 1, 1)) != images for count in (1, 2)
    )
    left = [1 - changed.flatten(1).any(1).float().mean().item() for changed in (one, two)]
    assert math.isclose(left[0], 1 / 2, abs_tol=0.12)
    assert math.isclose(left[1], 1 / 4, abs_tol=0.12)


def test_without_kornia_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.enhance", None)
    images, labels = torch.rand(2, 3, 8, 8), torch.tensor([0, 1])
    with pytest.raises(ImportError, match=r'pip install "qkformer\[train\]"'):
        Augmentation(rand_augment=1)(images, labels, 2, (0,))
    Augmentation(flip=0.5, erasing=0.5, mixup=0.5)(images, labels, 2, (0,))
