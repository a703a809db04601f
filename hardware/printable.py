"""Text that a terminal and a page show as it is."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text, with whatever is no visible character (escapes, newlines, lone surrogates) written as Python does.

    Names and paths are a user's, and a terminal obeys what is in them: ESC [ 2 K would wipe a verdict away.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
