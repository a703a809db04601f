"""Moments that no signal may break into: between the start of something and the note that it is to be tidied away."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

from .space import naming_the_full

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


@contextmanager
def undisturbed() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Signals that raise in Python wait until the end; yields what lets them through meanwhile, for the long part.

    Handlers, not the thread's mask: a process of many threads receives a signal in any of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield nullcontext  # only the main thread is told of signals
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    def close() -> None:
        for number in handlers:
            signal.signal(number, note)

    def open_again() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        while waiting:
            signal.raise_signal(waiting.pop(0))

    @contextmanager
    def disturbed() -> Iterator[None]:
        open_again()
        try:
            yield
        finally:
            close()

    close()
    try:
        yield disturbed
    finally:
        open_again()


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A new temporary folder, gone at the end, whatever comes; where it finds no room, the error names the disk."""
    with undisturbed() as disturbed, naming_the_full():
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            with disturbed(), naming_the_full():
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
