"""What export refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hardware.errors import InputError, UserError


class ExportError(UserError, ValueError):
    """A model that cannot be quantized or lowered; the message names the module and what is wrong with it."""


@contextmanager
def naming(module: str) -> Iterator[None]:
    """Whatever input is refused in this block, the ExportError names the module that has it."""
    try:
        yield
    except InputError as error:
        raise ExportError(f"{module}: {error}") from error
