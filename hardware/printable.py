"""Text that a terminal and a page show as it is."""

from __future__ import annotations

LONGEST_REASON = 300  # characters of what somebody else's reader says; some repeat the file


def printable(text: str) -> str:
    """The text, with whatever is no visible character (escapes, newlines, lone surrogates) written as Python does.

    Names and paths are a user's, and a terminal obeys what is in them: ESC [ 2 K would wipe a verdict away.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def reason_of(error: BaseException) -> str:
    """What an exception of somebody else's says, in one line of bearable length; its type where it says nothing."""
    text = " ".join(str(error).split()) or type(error).__name__
    half = LONGEST_REASON // 2
    return text if len(text) <= LONGEST_REASON else f"{text[:half]} ... {text[-half:]}"
