"""Kinds of sources of images, one a file: to add one, add its file with a subclass of `Source`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from ..errors import DataError
from ..source import Source


@cache
def kinds() -> tuple[type[Source], ...]:
    """Every kind of source, by the names of their files."""

    def found() -> Iterator[type[Source]]:
        for entry in iter_modules(__path__):
            module = import_module(f"{__name__}.{entry.name}")
            for value in vars(module).values():
                if inspect.isclass(value) and issubclass(value, Source) and value.__module__ == module.__name__:
                    yield value

    return tuple(found())


def find_source(text: str) -> Source:
    """The source that a user wrote.

    Raises:
        DataError: no kind of source recognizes it.
    """
    if not text.strip():
        raise DataError(f"data {text!r}: names nothing; write {', or '.join(kind.form for kind in kinds())}")
    for kind in kinds():
        if kind.recognizes(text):
            return kind(text)
    trouble = "not a folder" if os.path.exists(text) else "no such folder"
    raise DataError(f"data {text!r}: {trouble}; write {', or '.join(kind.form for kind in kinds())}")
