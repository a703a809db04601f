"""The command line: `qkformer demo | info | train | export | simulate | verify`.

Exit status: 0 done, 1 spikes differ, 2 could not run (one line says why), 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from .demo import demo
from .export import export
from .info import info
from .show import console
from .simulate import simulate
from .train import train
from .verify import verify

COULD_NOT_RUN = 2
INTERRUPTED = 130

app = typer.Typer(
    help="Spiking transformers from PyTorch to neuromorphic hardware, spike for spike.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (demo, info, train, export, simulate, verify):
    app.command()(command)


def main() -> None:
    """Run the command line. What a user can cause ends in one line on standard error."""
    try:
        app()
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(INTERRUPTED)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(COULD_NOT_RUN)
