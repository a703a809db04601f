"""The command line: `qkformer demo | info | train | export | simulate | verify | compare`.

Exit status: 0 done, 1 spikes differ, 2 could not run (one line says why), 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from hardware.target.lava import LavaError

from .compare import compare
from .demo import demo
from .export import export
from .info import info
from .simulate import simulate
from .train import train
from .verify import verify

COULD_NOT_RUN = 2
INTERRUPTED = 130
UsageError = typer.BadParameter.__base__  # click's; typer, which may carry its own click, exports only this child

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
for command in (demo, info, train, export, simulate, verify, compare):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"qkformer {version('qkformer')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Spiking transformers from PyTorch to neuromorphic hardware, spike for spike."""


def main() -> None:
    """Run the command line. What a user can cause ends in one line on standard error."""
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="qkformer", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except UsageError as error:
        _stop(error.format_message())
    except LavaError as error:
        print(error.details, file=sys.stderr)
        _stop(error.summary)
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ValueError, ImportError, RuntimeError) as error:
        _stop(str(error))
    if status == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    sys.exit(status)


def _stop(reason: str) -> None:
    print("error:", " ".join(reason.split()), file=sys.stderr)
    sys.exit(COULD_NOT_RUN)
