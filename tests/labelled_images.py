"""Small data sets of labelled images, as parquet files and as folders, and what their batches are held against."""

import numpy as np
import pytest
import torch
from PIL import Image

from qkformer.data import open_images

datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is an optional package")
SIZE = 6
TRAIN, TEST = 23, 7
CLASSES = ("cat", "dog", "eel")


def random_images(count, size=SIZE, channels=3, seed=0):
    """Images that differ from one another, and their labels."""
    generator = np.random.default_rng(seed)
    shape = (count, size, size, 3) if channels == 3 else (count, size, size)
    return generator.integers(0, 256, shape, dtype=np.uint8), generator.integers(0, len(CLASSES), count)


def write_parquet(folder, train=None, test=None, label="label", **columns):
    folder.mkdir(exist_ok=True)
    features = {"image": datasets.Image(), label: datasets.ClassLabel(names=list(CLASSES))}
    for name, (images, labels) in (
        ("train", train or random_images(TRAIN)),
        ("test", test or random_images(TEST, seed=1)),
    ):
        rows = {"image": [Image.fromarray(image) for image in images], label: labels.tolist()}
        rows |= {column: labels.tolist() for column in columns}
        table = datasets.Dataset.from_dict(rows, features=datasets.Features(features | columns))
        table.to_parquet(folder / f"{name}.parquet")
    return str(folder)


def write_folder(folder, sizes, test="validation"):
    """train/CLASS/NUMBER.png, each of one colour that its number tells."""
    for split in "train", test:
        for number, (width, height) in enumerate(sizes):
            place = folder / split / CLASSES[number % len(CLASSES)]
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (width, height), (10 * number, 0, 0)).save(place / f"{number}.png")
    return str(folder)


def quietly(source, **options):
    return open_images(source, **({"channels": 3, "image_size": SIZE, "show_progress": False} | options))


def gather(batches):
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def stored(count, seed=0):
    images, labels = random_images(count, seed=seed)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)


def same(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others)
    return all(torch.equal(a, b) for pair in zip(batches, others, strict=True) for a, b in zip(*pair, strict=True))
