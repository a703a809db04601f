"""The errors that a user can mend: each becomes one line of the command line. Any other exception is a bug."""

from __future__ import annotations

from .printable import printable


class UserError(Exception):
    """Something that whoever called can mend. The message is one line: the thing, its value, the limit, what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(UserError, ValueError):
    """An argument or input that a function does not take."""


class GraphError(UserError, ValueError):
    """A graph that cannot be executed; the message names the node or file and what is wrong with it."""


class RangeError(UserError, ValueError):
    """A number that the chip's format cannot hold; the message names the layer, the value and the limit."""


class TraceError(UserError, ValueError):
    """A file that is not a trace, or traces that cannot be compared; the message names it and says what is wrong."""


class NotAvailableError(UserError, ImportError):
    """A part of the toolkit that needs a package that is not installed; the message says how to install it."""


class TargetError(UserError, RuntimeError):
    """A target that failed while it ran a graph. `summary` is one line, `details` what the target had to say."""

    def __init__(self, summary: str, details: str = "") -> None:
        super().__init__(f"{summary}\n\n{details}".strip())
        self.summary = printable(summary)
        self.details = details

    def __str__(self) -> str:
        return f"{self.summary}\n\n{self.details}".strip()
