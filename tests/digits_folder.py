"""A few digits as a data set of images: parquet files, and files of mixed sizes."""

import datasets
from PIL import Image

from qkformer import load_digits


def write_digits(folder, train=72, test=30):
    """train.parquet and test.parquet, whose images are grey and of 8x8 pixels."""
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[str(digit) for digit in range(10)])}
    )
    for split, count in (("train", train), ("test", test)):
        images, labels = load_digits(split)
        encoded = [Image.fromarray((image[0] * 255).round().byte().numpy()) for image in images[:count]]
        rows = {"image": encoded, "label": labels[:count].tolist()}
        datasets.Dataset.from_dict(rows, features).to_parquet(str(folder / f"{split}.parquet"))
    return folder


def write_mixed_folder(folder, train=40, test=20):
    """train/CLASS/*.png and test/CLASS/*.png of several sizes, grey and in colour."""
    for split, count in (("train", train), ("test", test)):
        for number, (image, label) in enumerate(zip(*load_digits(split), strict=True)):
            if number == count:
                break
            digit = Image.fromarray((image[0] * 255).round().byte().numpy())
            place = folder / split / str(label.item())
            place.mkdir(parents=True, exist_ok=True)
            sized = digit.resize((8 + number % 5, 8 + number % 3))
            sized.convert("RGB" if number % 2 else "L").save(place / f"{number}.png")
    assert len(list((folder / "train").iterdir())) == 10
    return folder
