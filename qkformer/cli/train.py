"""`qkformer train`: a configuration, trained on a data set, written as a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..train import Recipe
from ..train import train as run_training
from .options import Json, check_writable, command_line, write_json
from .show import percent, say

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="The checkpoint to write. [default: runs/CONFIG/model.safetensors]"),
]
DEFAULT = Recipe()


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The name of a configuration.")],
    data: Annotated[str, typer.Option(help="The data set to train on.")] = "digits",
    output: Output = None,
    epochs: Annotated[int, typer.Option()] = DEFAULT.epochs,
    batch_size: Annotated[int, typer.Option()] = DEFAULT.batch_size,
    learning_rate: Annotated[float, typer.Option()] = DEFAULT.learning_rate,
    seed: Annotated[int, typer.Option()] = DEFAULT.seed,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run at the same output.")] = False,
    json: Json = None,
) -> None:
    """Train a model; Ctrl-C keeps the last whole epoch, and --resume goes on from it."""
    output = output or Path("runs") / config / "model.safetensors"
    check_writable(output, json)
    recipe = Recipe(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    last = run_training(config, output=output, data=data, recipe=recipe, resume=resume, command=command_line())
    epochs_done = f"{last.epoch} epoch{'s' if last.epoch > 1 else ''}"
    say(f"{output}: held-out accuracy {percent(last.accuracy)} after {epochs_done}, {last.seconds:.0f} s")
    write_json(json, {"checkpoint": str(output), "recipe": asdict(recipe), **asdict(last)})
