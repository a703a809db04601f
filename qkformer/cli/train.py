"""`qkformer train`: a configuration, trained on a data set, written as a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from export import QuantizationAware

from ..data.inputs import load_calibration
from ..models.catalogue import get_config
from ..models.model import SpikingTransformer
from ..training.catalogue import recipe_for
from ..training.loop import STATE_SUFFIX
from ..training.loop import train as run_training
from ..training.processes import is_main_process
from .options import Json, check_writable, command_line, write_json
from .show import percent, say

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="The checkpoint to write. [default: runs/CONFIG/model.safetensors]"),
]
Data = Annotated[
    str,
    typer.Option(
        help="digits, a folder (parquet files, or train/CLASS/*.png), hub:OWNER/NAME such as hub:uoft-cs/cifar10, or "
        "an .npz file with 'train_images', 'train_labels', 'test_images' and 'test_labels'."
    ),
]


def _number(kind: type, text: str) -> Any:
    return Annotated[kind | None, typer.Option(help=f"{text} [default: the recipe's]", show_default=False)]


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The name of a configuration.")],
    data: Data = "digits",
    output: Output = None,
    epochs: _number(int, "Passes over the training images.") = None,
    batch_size: _number(int, "Images per step, over all processes.") = None,
    learning_rate: _number(float, "The highest learning rate.") = None,
    accumulation: _number(int, "Micro-batches per step.") = None,
    precision: _number(str, "fp32 or bf16.") = None,
    seed: _number(int, "Of weights, order and augmentation.") = None,
    threads: _number(int, "Of a CPU.") = None,
    time_steps: Annotated[
        int | None, typer.Option(help="T while training. [default: the configuration's]", show_default=False)
    ] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Memory format of images and weights.")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Run torch.compile over the model.")] = False,
    backend: Annotated[str, typer.Option(help="What neurons run on: auto, torch or triton.")] = "auto",
    initial: Annotated[
        str | None, typer.Option("--from", metavar="CKPT", help="A checkpoint whose weights are the first.")
    ] = None,
    qat: Annotated[
        bool, typer.Option("--qat", help="Train with the integers of the fixed model in the forward pass.")
    ] = False,
    streaming: Annotated[bool, typer.Option("--streaming", help="Never read all of the data at once.")] = False,
    label: Annotated[str | None, typer.Option(help="The column of labels, if there are several.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that decode images not kept in memory.")] = 0,
    tensorboard: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write TensorBoard's files.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run at the same output.")] = False,
    json: Json = None,
) -> None:
    """Train a model. Ctrl-C saves, and --resume goes on to the weights of an uninterrupted run, also after a kill."""
    output = output or Path("runs") / config / "model.safetensors"
    check_writable(output, json)
    described = get_config(config)
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "accumulation": accumulation,
        "precision": precision,
        "seed": seed,
        "threads": threads,
        "channels_last": channels_last or None,
        "compile": compiled or None,
    }
    if time_steps is not None:
        described = described.replace(time_steps=time_steps)
    recipe = replace(recipe_for(described), **{name: value for name, value in given.items() if value is not None})
    try:
        last = run_training(
            described,
            output=output,
            data=data,
            recipe=recipe,
            resume=resume,
            initial=initial,
            wrap=_quantization_aware(load_calibration(data, described, label=label)) if qat else None,
            backend=backend,
            streaming=streaming,
            label=label,
            workers=workers,
            tensorboard=tensorboard,
            command=command_line(),
        )
    except KeyboardInterrupt:
        if is_main_process() and Path(f"{output}{STATE_SUFFIX}").is_file():
            say(f"{output}{STATE_SUFFIX}: the last state; the same command with --resume goes on")
        raise
    if not is_main_process():
        return
    epochs_done = f"{last.epoch} epoch{'s' if last.epoch > 1 else ''}"
    say(f"{output}: held-out accuracy {percent(last.accuracy)} after {epochs_done}, {last.seconds:.0f} s")
    write_json(json, {"checkpoint": str(output), "recipe": recipe.to_dict(), **asdict(last)})


def _quantization_aware(calibration: Tensor) -> Callable[[SpikingTransformer], QuantizationAware]:
    """What trains the network that `qkformer export` writes from the same calibration images."""

    def quantization_aware(model: SpikingTransformer) -> QuantizationAware:
        return QuantizationAware(model, calibration)

    return quantization_aware
