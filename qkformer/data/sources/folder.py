"""A folder: parquet files as the Hub has them, or an image a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from ..labelled_rows import LabelledRows
from ..rows_source import RowsSource


class Folder(RowsSource):
    """train.parquet and test.parquet, or shards of them; or train/CLASS/*.png and test/CLASS/*.png.

    The test split may be called validation, valid or val. Nothing is asked of the network.
    """

    form: ClassVar[str] = "a folder (of parquet files, or train/CLASS/*.png)"

    @classmethod
    def recognizes(cls, text: str) -> bool:
        """Whether there is such a folder."""
        return os.path.isdir(os.path.expanduser(text))

    def rows(self, label: str | None, streaming: bool) -> LabelledRows:
        """Those of the folder, which goes by its own name alone."""
        folder = Path(os.path.realpath(os.path.expanduser(self.text)))
        return LabelledRows(folder, folder.name, label=label, streaming=streaming)
