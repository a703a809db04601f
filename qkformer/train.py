"""Training: seeded, resumable, and on one machine the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from hardware.files import write_atomically

from .augment import random_affine
from .checkpoint import save_checkpoint
from .config import Config
from .configs import get_config
from .data import load_data
from .model import SpikingTransformer, create_model
from .state_dict import CheckpointError, read_pickle

STATE_SUFFIX = ".state"
EVALUATION_BATCH = 256
WARM_UP = 0.1  # of all steps; the rest is a cosine


@dataclass(frozen=True)
class Recipe:
    """Every number that decides the outcome of a training run.

    `threads` is one of them: it decides the order of sums on a CPU, hence their last digits, hence in time all others.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    seed: int = 0
    threads: int = 2

    def __post_init__(self):
        for entry in fields(self):
            value, least = getattr(self, entry.name), 1 if entry.name in ("epochs", "batch_size", "threads") else 0
            if value < least:
                raise ValueError(f"{entry.name} is {value}; it must be at least {least}")


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to. `accuracy` is on the held-out images; `seconds` is the run so far."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float


def train(
    config: str | Config,
    *,
    output: str | Path,
    data: str = "digits",
    recipe: Recipe | None = None,
    resume: bool = False,
    command: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    show_progress: bool = True,
) -> Epoch:
    """Train a model and write its checkpoint; returns the last epoch's figures.

    AdamW under a cosine schedule, label smoothing, light affine augmentation. After each epoch the checkpoint at
    `output` is replaced, and beside it `output` + `.state`, from which `resume=True` goes on to the same weights
    as an uninterrupted run. An interruption (Ctrl-C) loses the epoch under way, no more. The last epoch is
    kept, not the best: the held-out images choose nothing.

    Args:
        config: a configuration, or its name.
        output: the checkpoint to write.
        data: the name of a data set.
        recipe: the numbers of the run.
        resume: go on from the state of an interrupted run of the same configuration, data and recipe.
        command: what was typed, for the checkpoint's metadata; the call of this function if not given.
        on_epoch: called after every epoch, when its checkpoint is on disk.
        show_progress: draw a progress bar.

    Raises:
        ConfigError: no such configuration.
        ValueError: no such data set.
        CheckpointError: nothing to resume from, or the state of another configuration, data set or recipe.
    """
    config = get_config(config) if isinstance(config, str) else config
    recipe = recipe or Recipe()
    command = command or f"qkformer.train({config.name!r}, data={data!r}, recipe={recipe}, output=...)"
    images, labels = load_data(data, "train")
    held_out = load_data(data, "test")
    run = _Run(config, data, recipe, steps=-(-len(images) // recipe.batch_size) * recipe.epochs)
    state_path = Path(f"{output}{STATE_SUFFIX}")
    if resume:
        run.load(state_path)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with _threads(recipe.threads), Progress(*columns, disable=not show_progress) as progress:
        task = progress.add_task(config.name, total=recipe.epochs, completed=run.epoch, note="")
        while run.epoch < recipe.epochs:
            epoch = run.train_epoch(images, labels, held_out)
            run.save(state_path)
            save_checkpoint(run.model, output, command=command, data=data, recipe=asdict(recipe), **asdict(epoch))
            progress.update(task, advance=1, note=f"loss {epoch.loss:.3f}, held-out accuracy {epoch.accuracy:.2%}")
            if on_epoch:
                on_epoch(epoch)
    return run.last


@torch.no_grad()
def evaluate(model: torch.nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images [N, ...] whose largest logit is their label [N]; the model is left in its mode."""
    was_training = model.training
    model.eval()
    batches = zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True)
    correct = sum((model(batch).argmax(1) == answers).sum().item() for batch, answers in batches)
    model.train(was_training)
    return correct / len(labels)


class _Run:
    """All that changes while training: what `.state` holds."""

    def __init__(self, config: Config, data: str, recipe: Recipe, steps: int):
        self.recipe = recipe
        self.task = {"config": config.to_dict(), "data": data, "recipe": asdict(recipe)}
        self.model = _seeded_model(config, recipe.seed)
        self.optimizer = _optimizer(self.model, recipe)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.learning_rate, total_steps=steps, pct_start=WARM_UP, cycle_momentum=False
        )
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.epoch = 0
        self.last = Epoch(0, recipe.epochs, 0.0, 0.0, 0.0)

    def train_epoch(self, images: Tensor, labels: Tensor, held_out: tuple[Tensor, Tensor]) -> Epoch:
        """One pass over the images in random order."""
        started = time.perf_counter()
        self.model.train()
        total = 0.0
        for batch in torch.randperm(len(images), generator=self.generator).split(self.recipe.batch_size):
            logits = self.model(random_affine(images[batch], self.generator))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=self.recipe.label_smoothing)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total += loss.item() * len(batch)
        accuracy = evaluate(self.model, *held_out)
        seconds = self.last.seconds + time.perf_counter() - started
        self.epoch += 1
        self.last = Epoch(self.epoch, self.recipe.epochs, total / len(images), accuracy, round(seconds, 2))
        return self.last

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def save(self, path: Path) -> None:
        """Write the state: plain tensors and numbers."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"generator": self.generator.get_state(), "last": asdict(self.last), "task": self.task}
        write_atomically(path, lambda file: torch.save(state, file))

    def load(self, path: Path) -> None:
        """Go on where `save` was called."""
        if not path.is_file():
            raise CheckpointError(f"{path}: no state to resume from; train without resuming first")
        state = read_pickle(path)
        if not isinstance(state, dict) or "task" not in state:
            raise CheckpointError(f"{path}: not a training state")
        for name, value in self.task.items():
            if state["task"][name] != value:
                raise CheckpointError(f"{path}: the run to resume had {name} {state['task'][name]}, not {value}")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.last = Epoch(**state["last"])
        self.epoch = self.last.epoch


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seeded_model(config: Config, seed: int) -> SpikingTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model(config)


def _optimizer(model: SpikingTransformer, recipe: Recipe) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
