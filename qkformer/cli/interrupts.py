"""Ctrl-C, SIGTERM and a closed terminal: each ends a command once, wherever it is, and what it began is tidied away.

The first raises KeyboardInterrupt. While that is on its way, in the `finally` of whatever it passes, others are not
raised: an impatient second Ctrl-C interrupts no tidying up. Where something on the way has swallowed it (an import that
makes an ImportError of it, a callback whose exceptions Python ignores), it is raised again.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from types import FrameType

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}
AGAIN = 0.5  # seconds until an interrupt that something swallowed is raised again
TEARDOWN = 5.0  # seconds that Python and its libraries may take to end when a command is done

_came: list[int] = []  # the signals, from the one that ended the command
_ended: list[tuple[float, int]] = []  # when the command ended, and with what status


def listen() -> None:
    """From here on signals interrupt the command. What is ignored (nohup, a job in the background) stays so."""
    _came.clear()
    _ended.clear()
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def interrupted() -> bool:
    """Whether the command was interrupted, whatever became of the KeyboardInterrupt."""
    return bool(_came)


def end(status: int | None) -> int:
    """The exit status of a command: its own (status), or that of the signal, with its one word on standard error.

    What comes afterwards comes too late to change it, and no teardown ends in a traceback.
    """
    if status is None or _came:
        number = signal.Signals(_came[0] if _came else signal.SIGINT)
        status = 128 + number
        _ended.append((time.monotonic(), status))
        print(WORDS[number], file=sys.stderr, flush=True)
    else:
        _ended.append((time.monotonic(), status))
    if _came:
        signal.setitimer(signal.ITIMER_REAL, 0)
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Python gives up our handlers before its very end
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _ended:
        _leave()
        return
    if not _came:
        signal.signal(signal.SIGALRM, _again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    _came.append(number)
    _raise()


def _again(number: int, frame: FrameType | None) -> None:
    if not _ended:
        _raise()


def _leave() -> None:
    since, status = _ended[0]
    if time.monotonic() - since > TEARDOWN:
        os._exit(status)  # it hangs


def _raise() -> None:
    error = sys.exc_info()[1]  # what is being handled where the signal came
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return
        error = error.__cause__ or error.__context__
    raise KeyboardInterrupt


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not (_came and issubclass(lost.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(lost)


def _in_a_fork() -> None:
    for number in signal.SIGTERM, signal.SIGHUP:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


os.register_at_fork(after_in_child=_in_a_fork)  # who starts processes ends them by SIGTERM
