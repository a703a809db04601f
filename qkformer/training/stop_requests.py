"""Ctrl-C and SIGTERM, asked about between steps instead of breaking into one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn


class StopRequests:
    """The signal that came while a step was under way, if one did."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._came: int | None = None

    def came(self) -> bool:
        """Whether the work is to stop."""
        return self._came is not None

    def obey(self) -> NoReturn:
        """Stop as the one who was listening before would have: the command line, say, which ends as the signal says.

        Raises:
            KeyboardInterrupt: unless that one raises another exception.
        """
        if self._came is not None and callable(handler := self._before[self._came]):
            handler(self._came, None)
        raise KeyboardInterrupt

    def _listen(self) -> None:
        for number in self._before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._came = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Ctrl-C and SIGTERM wait until the step under way is finished. A second one stops at once."""
    requests = StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield requests  # only the main thread can be told of signals
        return
    requests._listen()
    try:
        yield requests
    finally:
        requests._restore()
