"""The command line: `qkformer demo | info | train | export | simulate | verify | compare | targets`.

Exit status: 0 done, 1 spikes differ, 2 could not run (one line says why), 70 a bug of the toolkit, 130 interrupted.
Nothing is imported here before it is needed: help, lists and usage errors need none of the large packages.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn, TextIO

from hardware.printable import printable

COULD_NOT_RUN = 2
BUG = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130
DEBUG = "--debug"
OUT_OF_MEMORY = ("can't allocate memory", "std::bad_alloc", "out of memory")  # in what PyTorch says

_interrupts: list[int] = []  # Ctrl-C came: whatever an import makes of it, the command was interrupted


def main() -> None:
    """Run the command line. What a user can mend ends in one line on standard error; anything else is a bug."""
    _interrupts.clear()
    signal.signal(signal.SIGINT, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks is still shown
    sys.stdout = _MayClose(sys.stdout)
    if os.environ.get("COLUMNS") == "0":
        del os.environ["COLUMNS"]  # no terminal is that narrow, and nothing would be printed
    arguments = sys.argv[1:]
    debug = DEBUG in arguments
    try:
        status = _run([argument for argument in arguments if argument != DEBUG] or ["--help"], debug)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException:
        if not _interrupts:
            raise
        status = INTERRUPTED
    if status == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    sys.exit(status)


class _MayClose(io.TextIOBase):
    """Standard output that a reader may close (`qkformer ... | head`): the command goes on, and its status tells."""

    def __init__(self, stream: TextIO):
        self.stream: TextIO | None = stream

    def write(self, text: str) -> int:
        return self._try("write", text) or len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("standard output is closed")
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding if self.stream else "utf-8"

    def _try(self, method: str, *arguments: str) -> int | None:
        if self.stream is None:
            return None
        try:
            done: int | None = getattr(self.stream, method)(*arguments)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())  # or Python fails as it ends
            self.stream = None
            return None
        except OSError as error:
            error.filename = error.filename or "standard output"
            raise
        return done


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _interrupts.append(number)
    raise KeyboardInterrupt


def _run(arguments: list[str], debug: bool) -> int:
    import typer

    from hardware.errors import TargetError, UserError

    from .commands import app

    usage_error = typer.BadParameter.__base__  # click's; typer, which may carry its own click, exports only this child
    try:
        status = app(arguments, prog_name="qkformer", standalone_mode=False)
        return int(status or 0)
    except typer.Abort:
        return INTERRUPTED
    except TargetError as error:
        return _stop(error.summary, debug, error.details)
    except UserError as error:
        return _stop(str(error), debug)
    except OSError as error:
        return _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error), debug)
    except Exception as error:
        if _interrupts:
            return INTERRUPTED
        if _is_out_of_memory(error):
            return _stop(f"out of memory: {str(error) or 'none is left'}; give fewer --images or smaller ones", debug)
        if isinstance(error, usage_error):  # type: ignore[arg-type]
            return _stop(error.format_message(), False)  # type: ignore[attr-defined]
        return _bug(error, debug)


def _is_out_of_memory(error: Exception) -> bool:
    """NumPy and Python raise MemoryError; PyTorch a RuntimeError, whose text alone tells it from others."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    )


def _stop(reason: str, debug: bool, details: str = "") -> int:
    """One line on standard error; with --debug what led there, too."""
    if debug:
        print(details or traceback.format_exc(), file=sys.stderr)
    print("error:", printable(" ".join(reason.split())), file=sys.stderr)
    return COULD_NOT_RUN


def _bug(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
    hint = "" if debug else f"; {DEBUG} shows where"
    print(f"bug: {what} - this is an error of qkformer, not yours: please report it{hint}", file=sys.stderr)
    return BUG
