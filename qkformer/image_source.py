"""Pictures with labels, from a folder or the Hub: the only place that imports Hugging Face `datasets`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL.Image import Image

INSTALL = 'data sets of pictures are read by datasets: pip install "qkformer[train]"'
TEST_SPLITS = ("test", "validation", "valid", "val")  # the first that is there, with labels
PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class DataError(ValueError):
    """A data set that cannot be trained on, or that is not there."""


class ImageSource:
    """The train and test split of a data set, row by row and not yet decoded.

    Args:
        source: a local folder (train.parquet and test.parquet, shards of those, or train/CLASS/*.png), or the name
            of a data set of the Hub, with `:config` behind it if it has several.
        label: the column of labels, needed if there are several.

    Raises:
        ImportError: `datasets` is not installed.
        DataError: no such data set, no train or test split, no or several columns of pictures or labels.
    """

    def __init__(self, source: str, label: str | None = None):
        try:
            import datasets
        except ImportError as error:
            raise ImportError(INSTALL) from error
        self._pictures = datasets.Image(decode=False)
        self._decoder = datasets.Image()
        path = Path(source).expanduser()
        self.is_local = path.is_dir()
        self.folder = path.resolve()
        self.name = self.folder.name if self.is_local else source
        name, _, config = (str(self.folder), "", "") if self.is_local else source.partition(":")
        try:
            self._builder = datasets.load_dataset_builder(name, config or None)
            streams = self._builder.as_streaming_dataset()
        except (FileNotFoundError, ConnectionError, ValueError, datasets.exceptions.DatasetsError) as error:
            kind = "no pictures can be read from this folder" if self.is_local else "neither a folder nor on the Hub"
            raise DataError(f"data {source!r}: {kind}: {error}") from error
        self._splits = {"train": self._train_split(streams), "test": ""}
        features = streams[self._splits["train"]].features or {}
        self.image = self._column(features, datasets.Image, "pictures (Image)", None)
        self.label = self._column(features, datasets.ClassLabel, "labels (ClassLabel)", label)
        self.class_names: tuple[str, ...] = tuple(features[self.label].names)
        self._splits["test"] = self._test_split(streams)

    def _train_split(self, streams: dict[str, Any]) -> str:
        if "train" not in streams:
            raise DataError(f"data {self.name!r} has no split train; it has {', '.join(streams)}")
        return "train"

    def _test_split(self, streams: dict[str, Any]) -> str:
        for split in TEST_SPLITS:
            if split in streams and self.label in (streams[split].features or {}):
                first = next(iter(streams[split].select_columns([self.label])), None)
                if first is not None and first[self.label] not in (None, -1):  # -1: kept secret, as ImageNet's are
                    return split
        expected, found = ", ".join(TEST_SPLITS), ", ".join(streams)
        raise DataError(f"data {self.name!r} has no split to test with: of {expected}, none with labels in {found}")

    def _column(self, features: dict[str, Any], kind: type, meaning: str, chosen: str | None) -> str:
        found = [name for name, feature in features.items() if isinstance(feature, kind)]
        if chosen is not None:
            if chosen not in found:
                raise DataError(f"data {self.name!r} has no column {chosen!r} of {meaning}; it has {found}")
            return chosen
        if len(found) != 1:
            what = "several columns" if found else "no column"
            raise DataError(f"data {self.name!r} has {what} of {meaning}: {found or list(features)}; name one")
        return found[0]

    def stream(self, split: str) -> Any:
        """The rows of `train` or `test` in the order of the files, read once through: no copy is made on disk."""
        return self._narrow(self._builder.as_streaming_dataset(self._splits[split]))

    def table(self, split: str) -> Any:
        """The rows of `train` or `test` by index, from Arrow files that `datasets` keeps in its cache."""
        self._builder.download_and_prepare()
        return self._narrow(self._builder.as_dataset(self._splits[split]))

    def rows(self, split: str) -> Any:
        """The rows of `train` or `test`, by the way that needs the least: local files are read, others kept first."""
        return self.stream(split) if self.is_local else self.table(split)

    def _narrow(self, rows: Any) -> Any:
        return rows.select_columns([self.image, self.label]).cast_column(self.image, self._pictures)

    def size(self, split: str) -> int | None:
        """The number of rows without reading them, or None if nothing says it."""
        files = self._files(split)
        if self.is_local and all(file.endswith(".parquet") for file in files):
            import pyarrow.parquet  # comes with datasets

            return sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)
        if self.is_local and all(Path(file).suffix.lower() in PICTURES for file in files):
            return len(files)
        known = (self._builder.info.splits or {}).get(self._splits[split])
        return known.num_examples if known else None

    def _files(self, split: str) -> list[str]:
        return sorted(str(file) for file in (self._builder.config.data_files or {}).get(self._splits[split], ()))

    def fingerprint(self) -> str:
        """SHA-256 of the files' names, with sizes if they are local; names on the Hub hold the revision."""
        digest = hashlib.sha256()
        for split in self._splits:
            for file in self._files(split):
                where = Path(file)
                entry = (where.relative_to(self.folder), where.stat().st_size) if self.is_local else (file,)
                digest.update(repr((split, *map(str, entry))).encode())
        return digest.hexdigest()

    def decode(self, row: dict[str, Any]) -> tuple[Image, int]:
        """Picture and label of a row.

        Raises:
            DataError: a label is missing, or no class has it.
        """
        label = row[self.label]
        if label is None or not 0 <= label < len(self.class_names):
            raise DataError(f"data {self.name!r}: a label is {label}; classes are 0 to {len(self.class_names) - 1}")
        return self._decoder.decode_example(row[self.image]), label
