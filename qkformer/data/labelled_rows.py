"""Labelled images row by row: the only place that imports Hugging Face `datasets`."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from PIL.Image import Image

from hardware.errors import NotAvailableError

from .decode import read_picture
from .errors import DataError
from .foreign import Rows, naming
from .local_folder import check_folder

INSTALL = 'data sets of images are read by datasets: pip install "qkformer[train]"'
TEST_SPLITS = ("test", "validation", "valid", "val")  # the first that is there, with labels
SECRET = (None, -1)  # labels that are not given away, as those of ImageNet's test split
SAMPLED_FILES = 1000  # of which the content is sampled for the fingerprint
SAMPLES, SAMPLE = 64, 2**12  # parts of a file, bytes of each
LARGEST_ROW_GROUP = 2**30  # bytes
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class LabelledRows:
    """The train and test split of a data set, row by row and not yet decoded.

    Local files are read where they are. What comes from the Hub is first copied into the cache of `datasets`, unless
    it is streamed.

    Args:
        place: a local folder, or the name of a data set of the Hub.
        name: what the data set is called, without the path to it.
        config: which configuration of a data set of the Hub that has several.
        label: the column of labels, needed if there are several.
        streaming: make no copy of what comes from the Hub.

    Raises:
        NotAvailableError: `datasets` is not installed.
        DataError: nothing there that can be read, no train or test split, no or several columns of images or labels.
    """

    def __init__(
        self,
        place: str | Path,
        name: str,
        config: str | None = None,
        label: str | None = None,
        streaming: bool = False,
    ) -> None:
        datasets = _datasets()
        self._decoder, self._undecoded = datasets.Image(), datasets.Image(decode=False)
        self.folder = place if isinstance(place, Path) else None
        self.name = name
        self._streams = streaming or self.folder is not None
        if self.folder:
            check_folder(self.folder)
        with naming(f"data {name!r} {'cannot be read' if self.folder else 'is not given by the Hub'}"):
            self._builder = datasets.load_dataset_builder(str(place), config)
            if self._streams:
                self._splits = self._builder.as_streaming_dataset()
            else:
                self._builder.download_and_prepare()
                self._splits = self._builder.as_dataset()
            self._check_files()
        if "train" not in self._splits:
            raise DataError(f"data {self.name!r} has no split train; it has {', '.join(map(str, self._splits))}")
        features = self._splits["train"].features or {}
        self.image = self._column(features, datasets.Image, "images (Image)", None)
        self.label = self._column(features, datasets.ClassLabel, "labels (ClassLabel)", label)
        self.class_names: tuple[str, ...] = tuple(features[self.label].names)
        self._names = {"train": "train", "test": self._test_split()}

    def _column(self, features: dict[str, Any], kind: type, meaning: str, chosen: str | None) -> str:
        found = [name for name, feature in features.items() if isinstance(feature, kind)]
        if chosen is not None and chosen not in found:
            raise DataError(f"data {self.name!r} has no column {chosen!r} of {meaning}; of these it has {found}")
        if chosen is None and len(found) != 1:
            trouble = f"several columns of {meaning}: {found}; choose one" if found else f"no column of {meaning}"
            raise DataError(f"data {self.name!r} has {trouble} (all its columns: {list(features)})")
        return chosen or found[0]

    def _test_split(self) -> str:
        for split in TEST_SPLITS:
            if split in self._splits and self.label in (self._splits[split].features or {}):
                labels = Rows(self._splits[split].select_columns([self.label]), f"data {self.name!r}")
                first = next(iter(labels), None)
                if first is not None and first[self.label] not in SECRET:
                    return split
        tried, found = ", ".join(TEST_SPLITS), ", ".join(map(str, self._splits))
        raise DataError(f"data {self.name!r} has no split to test on: none of {tried} with labels, only {found}")

    def _check_files(self) -> None:
        """Local ones lie in the folder, and their row groups fit the memory."""
        if self.folder is None:
            return
        for name, files in (self._builder.config.data_files or {}).items():
            for file in map(str, files):
                if not Path(file).is_relative_to(self.folder):
                    raise DataError(f"data {self.name!r}: {file} of its split {name} lies outside of the folder")
                if file.endswith(".parquet"):
                    check_row_groups(Path(file))

    def of(self, split: str) -> Rows:
        """The rows of `train` or `test`, in the order of the files."""
        return self._narrow(self._splits[self._names[split]])

    def table(self, split: str) -> Rows:
        """The same by index: local files are copied into the cache of `datasets` as well."""
        if not self._streams:
            return self.of(split)
        with naming(f"data {self.name!r}"):
            self._builder.download_and_prepare()
            return self._narrow(self._builder.as_dataset(self._names[split]))

    def _narrow(self, rows: Any) -> Rows:
        narrowed = rows.select_columns([self.image, self.label]).cast_column(self.image, self._undecoded)
        return Rows(narrowed, f"data {self.name!r}")

    def size(self, split: str) -> int | None:
        """The number of rows, or None if it takes reading them to know."""
        if not self._streams:
            return len(self._splits[self._names[split]])
        files = self._files(split)
        if self.folder and all(file.endswith(".parquet") for file in files):
            with naming(f"data {self.name!r}"):
                return sum(read_metadata(Path(file)).num_rows for file in files)
        if self.folder and all(Path(file).suffix.lower() in SUFFIXES for file in files):
            return len(files)
        known = (self._builder.info.splits or {}).get(self._names[split])
        return int(known.num_examples) if known else None

    def _files(self, split: str) -> list[str]:
        return sorted(str(file) for file in (self._builder.config.data_files or {}).get(self._names[split], ()))

    def fingerprint(self) -> str:
        """SHA-256 that changes with the data.

        Of local files: all names and sizes, and samples of the content, as reading all of ImageNet takes minutes. Of
        those on the Hub: names, which hold the revision.
        """
        digest = hashlib.sha256()
        for split, name in self._names.items():
            files = self._files(split) if self._streams else [self._splits[name]._fingerprint]
            if not self.folder:
                digest.update(repr((split, files)).encode())
                continue
            for number, file in enumerate(map(Path, files)):
                place, size = file.relative_to(self.folder).as_posix(), file.stat().st_size
                digest.update(repr((split, place, size)).encode())
                if number % -(-len(files) // SAMPLED_FILES) == 0:
                    digest.update(_sample(file, size))
        return digest.hexdigest()

    def decode(self, row: dict[str, Any]) -> tuple[Image, int]:
        """Image and label of a row.

        Raises:
            DataError: a label is missing, or no class has it; or what should be an image is none.
        """
        label = row[self.label]
        if label is None or not 0 <= label < len(self.class_names):
            raise DataError(f"data {self.name!r}: a label is {label}; classes are 0 to {len(self.class_names) - 1}")
        if row[self.image] is None:
            raise DataError(f"data {self.name!r}: a row has no image in its column {self.image!r}")
        return read_picture(row[self.image], self._decoder.decode_example, self.describe(row)), label

    def describe(self, row: dict[str, Any]) -> str:
        """The image of a row, for errors."""
        place = Path(row[self.image].get("path") or "without a name").name
        return f"data {self.name!r}: an image, {place}"


def read_metadata(file: Path) -> Any:
    """Of a parquet file."""
    import pyarrow.parquet  # comes with datasets

    return pyarrow.parquet.read_metadata(file)


def check_row_groups(file: Path) -> None:
    """Raise DataError for a parquet file with a row group, which is read whole, over the limit of 1 GiB."""
    metadata = read_metadata(file)
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > LARGEST_ROW_GROUP:
            raise DataError(
                f"{file.name}: its row group {number} is of {size:,} bytes; at most {LARGEST_ROW_GROUP:,} are "
                "possible: write smaller ones"
            )


def _sample(file: Path, size: int) -> bytes:
    """Parts of a file, evenly spaced, its first and last bytes among them; all of a small one."""
    step = max(SAMPLE, (size - SAMPLE) // (SAMPLES - 1))
    with file.open("rb") as content:
        parts = []
        for start in [*range(0, size - SAMPLE, step), max(0, size - SAMPLE)]:
            content.seek(start)
            parts.append(content.read(SAMPLE))
    return b"".join(parts)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise NotAvailableError(INSTALL) from error
    datasets.logging.set_verbosity(logging.CRITICAL)  # what it logs of damaged files, it raises as well
    return datasets
