"""Standard streams that never end a command: closed at the start, closed by their reader, of a narrow encoding."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO, cast

COLUMNS = "COLUMNS"  # environment variable: the width of the terminal
WIDTHS = range(20, 1001)  # what a terminal has; a table of no width prints nothing, one of 10^9 takes all memory


class MayClose(io.TextIOBase):
    """A stream that a reader may close (`qkformer ... | head`): the command goes on, and its status tells."""

    def __init__(self, stream: TextIO, title: str):
        self.stream: TextIO | None = stream
        self.title = title

    def write(self, text: str) -> int:
        """Pass text on."""
        return self._try("write", text) or len(text)

    def flush(self) -> None:
        """Pass on what is waiting."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream is not None and self.stream.isatty()

    def fileno(self) -> int:
        """The number of the open file."""
        if self.stream is None:
            raise io.UnsupportedOperation("the stream is closed")
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of its characters."""
        return self.stream.encoding if self.stream else "utf-8"

    def _try(self, method: str, *arguments: str) -> int | None:
        if self.stream is None:
            return None
        try:
            done: int | None = getattr(self.stream, method)(*arguments)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())  # or Python fails as it ends
            self.stream = None
            if isinstance(error, BrokenPipeError):
                return None
            raise OSError(error.errno, error.strerror, self.title) from error  # a full disk, say
        return done


def prepare_streams() -> None:
    """Make standard input, output and error, and the width of the terminal, what every command can rely on."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed (`>&-`): the next file to be opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - to the end of the process
    sys.stdout, sys.stderr = _output(sys.stdout, "standard output"), _output(sys.stderr, "standard error")
    if os.environ.get(COLUMNS, "") not in map(str, WIDTHS):
        os.environ.pop(COLUMNS, None)


def _output(stream: TextIO | None, title: str) -> TextIO:
    if isinstance(stream, MayClose):
        return stream
    stream = stream or open(os.devnull, "w")  # noqa: SIM115 - to the end of the process
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # what an encoding lacks is shown as \u2588, and fails nothing
    return cast(TextIO, MayClose(stream, title))
