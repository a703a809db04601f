"""Training: seeded, resumable at any step, on one process or many, and on one machine the same every time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from hardware.errors import InputError

from ..checkpoints.checkpoint import find_checkpoint, load_checkpoint
from ..checkpoints.errors import CheckpointError
from ..checkpoints.state_dict import differences
from ..data.images import open_images
from ..kernels.backend import describe_backend, set_backend
from ..models.catalogue import get_config
from ..models.config import Config
from ..models.model import create_model
from ..models.schema import Integer, check_fields
from .epoch import Epoch
from .numerics import numerics
from .outputs import Outputs
from .processes import accelerator_for, claimed, strongest
from .progress import training_progress
from .recipe import Recipe
from .results import Results
from .run import TrainingRun, Wrap
from .stop_requests import stop_requests

SAVE_EVERY = 300.0  # seconds
MOST_WORKERS = 256  # processes, each with its own copy of all that is imported
GO_ON, SAVE, STOP = range(3)  # what a process may wish after a step; the strongest wish of all processes is done


def train(
    config: str | Config,
    *,
    output: str | Path,
    data: str = "digits",
    recipe: Recipe | None = None,
    resume: bool = False,
    overwrite: bool = False,
    initial: str | Path | None = None,
    wrap: Wrap | None = None,
    backend: str = "auto",
    streaming: bool = False,
    label: str | None = None,
    workers: int = 0,
    tensorboard: str | Path | None = None,
    command: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    show_progress: bool = True,
    save_every: float = SAVE_EVERY,
) -> Epoch:
    """Train a model and write its checkpoint; returns the last epoch's figures.

    AdamW under a warm-up and a cosine, as the recipe says. After each epoch the checkpoint at `output` is replaced,
    and beside it `output` + `.log.jsonl`, one line an epoch. Beside it `output` + `.state` is replaced after each
    epoch, every `save_every` seconds and on Ctrl-C (SIGINT) or SIGTERM; from it `resume=True` goes on to the same
    weights as an uninterrupted run, also after a kill; of checkpoint and log it writes what is missing. What another
    run has left is replaced only with `overwrite=True`, and no two runs write to one output at a time: `output` +
    `.lock` is held until the run has ended, however it ends. The last epoch is kept, not the best: the held-out images
    choose nothing.

    Under `accelerate launch` every process calls this function; a batch is shared among them, and BatchNorm's
    statistics are those of the whole batch.

    Args:
        config: a configuration, or its name.
        output: the checkpoint to write.
        data: `digits`, a folder, an .npz file or `hub:OWNER/NAME` (`open_images`).
        recipe: the numbers of the run.
        resume: go on from the state of an interrupted run of the same configuration, data and recipe.
        overwrite: replace checkpoint, log and state of an earlier run.
        initial: a checkpoint to start from, of the same weights; its time steps may differ.
        wrap: what is trained in place of the bare model, as `export.QuantizationAware`; it shares its weights.
        backend: what the neurons run on: `auto`, `torch` or `triton`.
        streaming: read the data as it comes, never all of it.
        label: the column of labels, where the data have several (`fine_label` of CIFAR-100).
        workers: processes that decode images, where these are not kept in memory.
        tensorboard: a folder for TensorBoard's files.
        command: what was typed, for the checkpoint's metadata; the call of this function if not given.
        on_epoch: called after every epoch, when its checkpoint is on disk.
        show_progress: draw a progress bar (on the main process).
        save_every: seconds between states.

    Raises:
        ConfigError: no such configuration.
        NotAvailableError: accelerate, or what reads the data, is not installed.
        InputError, DataError: no such data set, or one that does not fit the configuration or the recipe; results of
            an earlier run in the way, or another run that writes them; half of a launcher's variables.
        CheckpointError: nothing to resume from, or the state of another configuration, data set or recipe.
        TrainingError: the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM, when the state is saved; or what the listener of before raises for it.
    """
    config = get_config(config) if isinstance(config, str) else config
    recipe = recipe or Recipe()
    if config.events:
        raise InputError(f"{config.name} takes event frames; training reads images only")
    check_fields({"workers": workers}, {"workers": Integer(0, MOST_WORKERS)}, InputError)
    weights = None if initial is None else load_initial(initial, config)
    command = command or f"qkformer.train({config.name!r}, data={data!r}, recipe={recipe}, output=...)"
    outputs = Outputs(Path(output))
    accelerator = accelerator_for(recipe, config, tensorboard)
    shown = show_progress and accelerator.is_main_process
    with claimed(outputs, accelerator, resume=resume, overwrite=overwrite):
        images = open_images(
            data,
            channels=config.in_channels,
            image_size=config.image_size,
            classes=config.num_classes,
            streaming=streaming,
            label=label,
            show_progress=shown,
        )
        if images.classes != config.num_classes:
            raise InputError(f"{data} has {images.classes} classes; {config.name} has {config.num_classes}")
        task = {
            "config": config.to_dict(),
            "data": images.identity(),
            "recipe": recipe.to_dict(),
            "initial": None if initial is None else _identity(initial),
            "wrap": None if wrap is None else wrap.__name__,
        }
        if accelerator.num_processes * recipe.accumulation > recipe.batch_size:
            raise InputError(
                f"batch_size is {recipe.batch_size}; {accelerator.num_processes} processes with accumulation "
                f"{recipe.accumulation} need at least {accelerator.num_processes * recipe.accumulation}"
            )
        with numerics(recipe, accelerator.device), stop_requests() as stop:
            run = TrainingRun(
                accelerator, config, images, recipe, initial=weights, wrap=wrap, workers=workers, task=task
            )
            set_backend(run.model, backend)
            facts = {
                "backend": describe_backend(backend, run.model.head.weight),
                "processes": accelerator.num_processes,
            }
            results = Results(outputs, run, {"command": command, **facts}, {"data": data, **task})
            if resume:
                run.load(outputs.state)
                results.complete()
            with training_progress(config, run, facts, shown) as progress:
                while not run.finished:
                    saved = time.monotonic()
                    for count in run.train_epoch():
                        progress.stepped(count)
                        wish = STOP if stop.came() else SAVE if time.monotonic() - saved > save_every else GO_ON
                        wish = strongest(wish, accelerator)
                        if wish > GO_ON:
                            run.save(outputs.state)
                            saved = time.monotonic()
                        if wish == STOP:
                            stop.obey()
                    epoch = run.finish_epoch()
                    results.write()  # first: where a state says that an epoch is done, its checkpoint is there
                    run.save(outputs.state)
                    accelerator.log({f"epoch/{name}": value for name, value in asdict(epoch).items()}, step=epoch.epoch)
                    progress.finished(epoch)
                    if on_epoch:
                        on_epoch(epoch)
        accelerator.end_training()
    return run.history[-1]


def load_initial(checkpoint: str | Path, config: Config) -> dict[str, Tensor]:
    """The weights to start from.

    Raises:
        CheckpointError: no such checkpoint, or one of other weights.
    """
    model, of = load_checkpoint(checkpoint, time_steps=config.time_steps)
    weights = model.state_dict()
    with torch.device("meta"):
        expected = create_model(config).state_dict()
    if problems := differences(expected, weights):
        raise CheckpointError(f"{checkpoint} is of {of.name}, whose weights do not fit {config.name}: {problems}")
    return weights


def _identity(checkpoint: str | Path) -> dict[str, str]:
    path = find_checkpoint(checkpoint)
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
