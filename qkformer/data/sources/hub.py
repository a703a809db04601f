"""A data set of the Hugging Face Hub: the only source that uses the network, hence only where it is told so."""

from __future__ import annotations

import re
from typing import ClassVar

from ..errors import DataError
from ..labelled_rows import LabelledRows
from ..rows_source import RowsSource

PREFIX = "hub:"
NAME = r"(\w[\w.-]*/[\w.-]+)(?::([^/]+))?"  # OWNER/NAME, and perhaps :CONFIG


class Hub(RowsSource):
    """hub:OWNER/NAME, with :CONFIG behind it if the data set has several configurations."""

    form: ClassVar[str] = f"{PREFIX}OWNER/NAME for the Hugging Face Hub"

    @classmethod
    def recognizes(cls, text: str) -> bool:
        """Whether the text says so."""
        return text.startswith(PREFIX)

    def rows(self, label: str | None, streaming: bool) -> LabelledRows:
        """Those of the Hub; raises DataError for what is no name."""
        name = self.text.removeprefix(PREFIX)
        found = re.fullmatch(NAME, name)
        if not found:
            raise DataError(f"data {self.text!r}: not a name of the Hub; write {PREFIX}OWNER/NAME or OWNER/NAME:CONFIG")
        return LabelledRows(found[1], name, found[2], label, streaming)
