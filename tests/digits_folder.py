"""A few digits as the parquet files of a picture data set."""

import datasets
from PIL import Image

from qkformer.data.digits import load_digits


def write_digits(folder, train=72, test=30):
    """train.parquet and test.parquet, whose pictures are grey and of 8x8 pixels."""
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[str(digit) for digit in range(10)])}
    )
    for split, count in (("train", train), ("test", test)):
        images, labels = load_digits(split)
        pictures = [Image.fromarray((image[0] * 255).round().byte().numpy()) for image in images[:count]]
        rows = {"image": pictures, "label": labels[:count].tolist()}
        datasets.Dataset.from_dict(rows, features).to_parquet(str(folder / f"{split}.parquet"))
    return folder
