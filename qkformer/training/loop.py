"""Training: seeded, resumable at any step, on one process or many, and on one machine the same every time."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hardware.errors import InputError
from hardware.files import write_atomically

from ..checkpoints.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from ..data.images import open_images
from ..kernels.backend import describe_backend, set_backend
from ..models.catalogue import get_config
from ..models.config import Config
from .epoch import Epoch
from .numerics import numerics
from .processes import accelerator_for, strongest
from .progress import training_progress
from .recipe import Recipe
from .run import TrainingRun, Wrap
from .stop_requests import stop_requests

STATE_SUFFIX = ".state"
LOG_SUFFIX = ".log.jsonl"
SAVE_EVERY = 300.0  # seconds
GO_ON, SAVE, STOP = range(3)  # what a process may wish after a step; the strongest wish of all processes is done


def train(
    config: str | Config,
    *,
    output: str | Path,
    data: str = "digits",
    recipe: Recipe | None = None,
    resume: bool = False,
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
    weights as an uninterrupted run, also after a kill. The last epoch is kept, not the best: the held-out images
    choose nothing.

    Under `accelerate launch` every process calls this function; a batch is shared among them, and BatchNorm's
    statistics are those of the whole batch.

    Args:
        config: a configuration, or its name.
        output: the checkpoint to write.
        data: `digits`, a folder, an .npz file or `hub:OWNER/NAME` (`open_images`).
        recipe: the numbers of the run.
        resume: go on from the state of an interrupted run of the same configuration, data and recipe.
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
        InputError, DataError: no such data set, or one that does not fit the configuration or the recipe.
        CheckpointError: nothing to resume from, or the state of another configuration, data set or recipe.
        TrainingError: the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM, when the state is saved.
    """
    config = get_config(config) if isinstance(config, str) else config
    recipe = recipe or Recipe()
    if config.events:
        raise InputError(f"{config.name} takes event frames; training reads images only")
    command = command or f"qkformer.train({config.name!r}, data={data!r}, recipe={recipe}, output=...)"
    accelerator = accelerator_for(recipe, config, tensorboard)
    shown = show_progress and accelerator.is_main_process
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
    with numerics(recipe, accelerator.device), stop_requests() as stop_requested:
        weights = None if initial is None else load_checkpoint(initial, time_steps=config.time_steps)[0].state_dict()
        run = TrainingRun(accelerator, config, images, recipe, initial=weights, wrap=wrap, workers=workers, task=task)
        set_backend(run.model, backend)
        facts = {"backend": describe_backend(backend, run.model.head.weight), "processes": accelerator.num_processes}
        state_path = Path(f"{output}{STATE_SUFFIX}")
        if resume:
            run.load(state_path)

        def write_checkpoint() -> None:
            if accelerator.is_main_process:
                about = {"command": command, "data": data, **task, **facts, **asdict(run.history[-1])}
                del about["config"]
                save_checkpoint(run.model, output, **about)
                _write_log(Path(f"{output}{LOG_SUFFIX}"), command, facts, run.history)

        with training_progress(config, run, facts, shown) as progress:
            while not run.finished:
                saved = time.monotonic()
                for count in run.train_epoch():
                    progress.stepped(count)
                    wish = STOP if stop_requested() else SAVE if time.monotonic() - saved > save_every else GO_ON
                    wish = strongest(wish, accelerator)
                    if wish > GO_ON:
                        run.save(state_path)
                        saved = time.monotonic()
                    if wish == STOP:
                        raise KeyboardInterrupt
                epoch = run.finish_epoch()
                write_checkpoint()  # first: where a state says that an epoch is done, its checkpoint is there
                run.save(state_path)
                accelerator.log({f"epoch/{name}": value for name, value in asdict(epoch).items()}, step=epoch.epoch)
                progress.finished(epoch)
                if on_epoch:
                    on_epoch(epoch)
        if not Path(output).exists():  # resumed where nothing was left to do but that
            write_checkpoint()
        accelerator.end_training()
    return run.history[-1]


def _identity(checkpoint: str | Path) -> dict[str, str]:
    path = find_checkpoint(checkpoint)
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _write_log(path: Path, command: str, facts: dict[str, Any], history: list[Epoch]) -> None:
    """One line of JSON for the run, then one for each epoch."""
    lines = [json.dumps({"command": command, **facts}), *(json.dumps(asdict(epoch)) for epoch in history)]
    write_atomically(path, lambda file: file.write_text("\n".join(lines) + "\n"))
