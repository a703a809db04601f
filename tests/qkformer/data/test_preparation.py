import numpy as np
import pytest
import torch
from labelled_images import CLASSES, SIZE, gather, quietly, random_images, same, write_folder, write_parquet
from PIL import Image

from qkformer.data import DataError, preparation


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_rgb_as_the_model_takes_them(tmp_path, channels):
    source = write_parquet(
        tmp_path / "set", random_images(4, channels=4 - channels), random_images(4, channels=4 - channels)
    )
    images, _ = gather(quietly(source, channels=channels).test_batches(batch_size=4))
    originals, mode = random_images(4, channels=4 - channels)[0], {1: "L", 3: "RGB"}[channels]
    expected = np.stack([np.array(Image.fromarray(image).convert(mode)) for image in originals])
    assert torch.equal(images, torch.from_numpy(expected.reshape(4, SIZE, SIZE, channels)).permute(0, 3, 1, 2))


def test_images_of_other_sizes_are_cropped(tmp_path):
    sizes = [(20 + 3 * number, 40 - 2 * number) for number in range(12)]
    data = quietly(write_folder(tmp_path / "folder", sizes), image_size=16)
    assert data.identity()["images"] == "random resized crops"
    assert (data.train_size, data.test_size, data.class_names) == (12, 12, CLASSES)
    images, labels = gather(data.test_batches(batch_size=5))
    assert images.shape == (12, 3, 16, 16)
    # One colour each, whose red is ten times the image's number: crops show nothing else.
    assert (images == images[:, :, :1, :1]).all()
    numbers = images[:, 0, 0, 0] // 10
    assert torch.equal(labels, numbers % 3)
    assert sorted(numbers.tolist()) == list(range(12))


def test_crops_are_random_and_depend_on_the_place_alone(tmp_path):
    waves = np.add.outer(np.arange(40), 3 * np.arange(50))
    for split in "train", "test":
        for number in range(8):
            place = tmp_path / split / CLASSES[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.stack([waves, waves, waves + number], -1).astype(np.uint8)).save(place / f"{number}.png")
    table, stream = (quietly(str(tmp_path), image_size=16, streaming=streaming) for streaming in (False, True))
    for data in table, stream:
        whole = list(data.train_batches(batch_size=4, seed=0, epoch=0))
        assert same(data.train_batches(batch_size=4, seed=0, epoch=0, start=1, workers=0), whole[1:])
        half = data.train_batches(batch_size=4, seed=0, epoch=0, rank=1, world=2)
        assert same(half, ((images[1::2], labels[1::2]) for images, labels in whole))
        images, _ = gather(whole)
        assert len({image.numpy().tobytes() for image in images[:, :2]}) == 8
        again, _ = gather(data.train_batches(batch_size=4, seed=0, epoch=1))
        assert not torch.equal(images.sort(0)[0], again.sort(0)[0])
    assert same(table.test_batches(batch_size=8), stream.test_batches(batch_size=8))
    # The middle of an image 40 high, resized to 18: rows and columns 1 and 3.25 of its own 40 by 50.
    middle, _ = gather(table.test_batches(batch_size=8))
    reference = Image.fromarray(waves.astype(np.uint8)).resize((22, 18), Image.Resampling.BICUBIC)
    assert torch.equal(middle[0, 0], torch.from_numpy(np.array(reference)[1:17, 3:19]))


def test_sizes_that_do_not_fit_are_told(tmp_path, parquet, monkeypatch):
    with pytest.raises(DataError, match="is of 6x6 images; the model takes 32x32: choose a configuration"):
        quietly(parquet, image_size=32)
    monkeypatch.setattr(preparation, "PEEK", 2)
    mixed = write_folder(tmp_path / "mixed", [(SIZE, SIZE)] * 8 + [(9, 7)])
    with pytest.raises(DataError, match="holds images of 9x7 among those of 6x6"):
        quietly(mixed)
    with pytest.raises(ValueError, match="channels is 2"):
        quietly(parquet, channels=2)


def test_sixteen_bits_are_not_cut_off(tmp_path):
    for place in (tmp_path / split / name for split in ("train", "test") for name in ("cat", "dog")):
        place.mkdir(parents=True)
        Image.fromarray(np.full((SIZE, SIZE), 3000, dtype=np.uint16)).save(place / "0.png")
    with pytest.raises(ValueError, match="more than 8 bits"):
        quietly(str(tmp_path), channels=1)
