import numpy as np
import pytest
from PIL import Image

from qkformer.data.decode import as_mode, center_crop, pixels, random_resized_crop


def ramp(width, height):
    """An image whose red is the column and whose green is the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8))


@pytest.mark.parametrize(("width", "height"), [(200, 160), (90, 240)])
def test_a_random_crop_covers_8_to_100_percent_of_any_place(width, height):
    generator = np.random.default_rng(0)
    shares, aspects, middles = [], [], []
    for _ in range(300):
        crop = pixels(random_resized_crop(ramp(width, height), 16, generator)).astype(float)
        assert crop.shape == (3, 16, 16)
        # Resized to 16, the first and last pixel lie 15 / 16 of the crop's side apart; edges are blurred a little.
        wide, high = ((crop[0, 0, -1] - crop[0, 0, 0]) * 16 / 15, (crop[1, -1, 0] - crop[1, 0, 0]) * 16 / 15)
        shares.append(wide * high / (width * height))
        aspects.append(wide / high)
        middles.append(crop[0].mean() / width)
    assert 0.06 < min(shares) < 0.15
    assert max(shares) < 1.02
    assert 0.70 < min(aspects) < 0.85
    assert 1.2 < max(aspects) < 1.42
    assert np.std(middles) > 0.05


def test_of_a_strip_the_middle_is_taken():
    crop = pixels(random_resized_crop(ramp(250, 6), 12, np.random.default_rng(0)))
    assert crop.shape == (3, 12, 12)
    assert abs(crop[0].mean() - 124.5) < 1  # 8 by 6 pixels around column 124.5
    assert 5 < crop[0].max() - crop[0].min() < 9


def test_a_center_crop_keeps_the_aspect():
    crop = pixels(center_crop(ramp(256, 128), 112)).astype(int)  # its shorter side is 128 already
    assert np.array_equal(crop[0, 0], np.arange(72, 184))
    assert np.array_equal(crop[1, :, 0], np.arange(8, 120))


def test_transparent_palettes_and_other_modes_become_what_is_asked_for():
    palette = ramp(8, 8).convert("P")
    palette.info["transparency"] = b"\x00\x80"
    for image in palette, ramp(8, 8).convert("RGBA"), ramp(8, 8).convert("CMYK"), ramp(8, 8).convert("1"):
        assert pixels(as_mode(image, 3)).shape == (3, 8, 8)
        assert pixels(as_mode(image, 1)).shape == (1, 8, 8)


def test_what_would_be_cut_off_is_refused():
    deep = Image.fromarray(np.full((4, 4), 3000, dtype=np.uint16))
    with pytest.raises(ValueError, match="more than 8 bits a channel"):
        as_mode(deep, 1)
    with pytest.raises(ValueError, match="channels is 2; images have 1"):
        as_mode(ramp(4, 4), 2)
