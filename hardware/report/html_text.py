"""Text of a page."""

from __future__ import annotations

from html import escape

from ..printable import printable


def as_html(text: str) -> str:
    """The text as HTML that shows it, whatever is in it: a name, a path, bytes that are no text."""
    return escape(printable(text))
