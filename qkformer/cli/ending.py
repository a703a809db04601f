"""How a command ends: done, or in one line on standard error that says why not.

What a user can mend, memory that is short included, is status 2; any other exception, in whichever thread, is a bug of
the toolkit with status 70 - endless recursion, too.
"""

from __future__ import annotations

import sys
import threading
import traceback

from hardware.printable import printable

from .interrupts import interrupted
from .streams import prepare_streams

COULD_NOT_RUN = 2
INTERRUPTED = 130  # what typer makes of KeyboardInterrupt
BUG = 70  # EX_SOFTWARE of sysexits.h
DEBUG = "--debug"
NO_MEMORY = ("can't allocate memory", "std::bad_alloc", "out of memory")  # in the text of torch's RuntimeError
TAKE_LESS = "try fewer images, a smaller model or a machine with more"


def run(arguments: list[str]) -> int | None:
    """Run a command; its exit status, or None if it was interrupted."""
    prepare_streams()
    debug = DEBUG in arguments
    lost: list[BaseException] = []  # in threads
    before, threading.excepthook = threading.excepthook, lambda what: _keep(what.exc_value, lost)
    try:
        status = _run([argument for argument in arguments if argument != DEBUG] or ["--help"], debug)
        sys.stdout.flush()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        status = None if interrupted() else _explain(error, debug)
    finally:
        threading.excepthook = before
    return _bug(lost[0], debug) if status == 0 and lost else status


def _keep(error: BaseException | None, lost: list[BaseException]) -> None:
    if error is not None:
        lost.append(error)


def _run(arguments: list[str], debug: bool) -> int | None:
    import typer

    from .commands import app

    usage_error = typer.BadParameter.__base__  # click's; typer, which may carry its own click, exports only this child
    try:
        status = int(app(arguments, prog_name="qkformer", standalone_mode=False) or 0)
        return None if status == INTERRUPTED else status
    except typer.Abort:
        return None
    except Exception as error:
        if not isinstance(error, usage_error) or interrupted():  # type: ignore[arg-type]
            raise
        return _stop(error.format_message(), False)  # type: ignore[attr-defined]


def _explain(error: BaseException, debug: bool) -> int:
    """One line for what a command raised."""
    from hardware.errors import TargetError, UserError

    if isinstance(error, TargetError):
        return _stop(error.summary, debug, error.details)
    if isinstance(error, UserError):
        return _stop(str(error), debug)
    if isinstance(error, OSError):
        return _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error), debug)
    if isinstance(error, MemoryError) or _lacks_memory(error):
        asked = f" ({error})" if str(error) else ""
        return _stop(f"not enough memory{asked}: {TAKE_LESS}", debug)
    return _bug(error, debug)


def _lacks_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def _stop(reason: str, debug: bool, details: str = "") -> int:
    """One line on standard error; with --debug what led there, too."""
    if debug:
        print(details or traceback.format_exc(), file=sys.stderr)
    print("error:", printable(" ".join(reason.split())), file=sys.stderr)
    return COULD_NOT_RUN


def _bug(error: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
    hint = "" if debug else f"; {DEBUG} shows where"
    print(f"bug: {what} - this is an error of qkformer, not yours: please report it{hint}", file=sys.stderr)
    return BUG
