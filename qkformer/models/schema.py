"""What each field of a description must be, as data; one line names the field, its value and the limit."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Protocol

from hardware.errors import UserError

MOST_SHOWN = 60  # characters of a value in a message
MOST_TEXT = 200  # characters of a name
MOST_LISTED = 24  # names in a message
MOST_DIGITS = 100  # of an integer in a message; Python refuses to write more than 4,300


class Kind(Protocol):
    """What a value must be; as text, the limit that a message states."""

    def accepts(self, value: Any) -> bool:
        """Whether a value is of this kind."""


@dataclass(frozen=True)
class Integer:
    """least <= value <= most, and no bool."""

    least: int
    most: int

    def accepts(self, value: Any) -> bool:
        """Whether it is an integer in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most

    def __str__(self) -> str:
        return f"an integer of at least {self.least} and at most {self.most:,}"


@dataclass(frozen=True)
class Number:
    """least <= value <= most, so never NaN; no bool."""

    least: float
    most: float

    def accepts(self, value: Any) -> bool:
        """Whether it is a number in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.least <= value <= self.most

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"a number of at least {self.least:g}"
        return f"a finite number of at least {self.least:g} and at most {self.most:g}"


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def accepts(self, value: Any) -> bool:
        """Whether it is a bool."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Choice:
    """One of the texts under a name in a table that may yet grow; any text while the name is not in it."""

    name: str
    table: Mapping[str, Collection[str]]

    def accepts(self, value: Any) -> bool:
        """Whether it is one of the texts."""
        return isinstance(value, str) and (self.name not in self.table or value in self.table[self.name])

    def __str__(self) -> str:
        return f"one of {', '.join(self.table.get(self.name, ()))}"


@dataclass(frozen=True)
class Text:
    """Printable, neither empty nor long."""

    def accepts(self, value: Any) -> bool:
        """Whether it is such a text."""
        return isinstance(value, str) and 0 < len(value) <= MOST_TEXT and value.isprintable()

    def __str__(self) -> str:
        return f"1 to {MOST_TEXT} printable characters"


@dataclass(frozen=True)
class Pattern:
    """A text of at most MOST_TEXT letters that a regular expression describes; `words` say so."""

    expression: str
    words: str

    def accepts(self, value: Any) -> bool:
        """Whether the expression fits all of it."""
        return isinstance(value, str) and len(value) <= MOST_TEXT and bool(re.fullmatch(self.expression, value))

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Maybe:
    """A kind, or None."""

    kind: Kind

    def accepts(self, value: Any) -> bool:
        """Whether it is None or of the kind."""
        return value is None or self.kind.accepts(value)

    def __str__(self) -> str:
        return f"{self.kind}, or none"


@dataclass(frozen=True)
class Many:
    """A list or tuple of instances of a class."""

    of: type
    least: int
    most: int

    def accepts(self, value: Any) -> bool:
        """Whether it is such a list."""
        return (
            isinstance(value, list | tuple)
            and self.least <= len(value) <= self.most
            and all(isinstance(entry, self.of) for entry in value)
        )

    def __str__(self) -> str:
        return f"a list of {self.least} to {self.most} of {self.of.__name__}"


Schema = Mapping[str, Kind]


def check_fields(values: Any, schema: Schema, error: type[UserError], where: str = "") -> None:
    """Raise the error for the first field that is not of its kind. values: a mapping, or an object with attributes."""
    for name, kind in schema.items():
        value = values[name] if isinstance(values, Mapping) else getattr(values, name)
        if not kind.accepts(value):
            raise error(f"{where}{name} is {shown(value)}; it must be {kind}")


def check_table(values: Any, error: type[UserError], what: str) -> None:
    """Raise the error unless values is a mapping."""
    if not isinstance(values, Mapping):
        raise error(f"{what} is {shown(values)}; it must be a table of names and values")


def check_names(values: Any, required: Iterable[Any], known: Iterable[Any], error: type[UserError], what: str) -> None:
    """Raise the error unless values is a mapping that has all required names and no unknown one."""
    check_table(values, error, what)
    if missing := [name for name in required if name not in values]:
        raise error(f"{what} lacks {_listed(missing)}")
    every = dict.fromkeys(known)
    if unknown := [name for name in values if name not in every]:
        raise error(f"{what} has {shown(unknown[0])}; it may have {_listed(every)}")


def _listed(names: Iterable[Any]) -> str:
    names = list(names)
    rest = len(names) - MOST_LISTED
    return ", ".join(map(repr, names[:MOST_LISTED])) + (f" and {rest} more" if rest > 0 else "")


def construct(kind: type[Any], values: Any, error: type[UserError], what: str) -> Any:
    """A dataclass from a table of its fields; raises the error for what is missing or unknown."""
    known = fields(kind)
    required = [entry.name for entry in known if entry.default is MISSING and entry.default_factory is MISSING]
    check_names(values, required, [entry.name for entry in known], error, what)
    return kind(**values)


class _Short(reprlib.Repr):
    """A repr that neither deep nor huge values can make long or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, MOST_SHOWN, MOST_SHOWN

    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() > 3 * MOST_DIGITS:
            return f"an integer of {value.bit_length():,} bits"
        return repr(value)


def shown(value: Any) -> str:
    """A value as a message shows it: its start, in printable characters."""
    text = _Short().repr(value).encode("ascii", "backslashreplace").decode() if not _is_plain(value) else repr(value)
    return text if len(text) <= MOST_SHOWN + 2 else text[:MOST_SHOWN] + "..."


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_SHOWN and value.isprintable()
