"""What a training run shows while it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..models.config import Config
from .epoch import Epoch
from .run import TrainingRun

REFRESH = 0.5  # seconds between looks at the loss: on a GPU each waits for the work under way


class TrainingProgress:
    """A bar over all steps of a run, with the epoch, images per second, loss, accuracy and firing rate."""

    def __init__(self, bar: Progress, run: TrainingRun, name: str) -> None:
        self.bar, self.run = bar, run
        total = run.steps_per_epoch * run.recipe.epochs
        done = run.steps_per_epoch * run.epoch + run.step
        self.task = bar.add_task(name, total=total, completed=done, note="")
        self.images, self.since = 0, time.perf_counter()
        self.speed = ""

    def stepped(self, count: int) -> None:
        """A step of the optimizer over `count` images is done."""
        self.images += count
        self.bar.advance(self.task)
        now = time.perf_counter()
        if now - self.since > REFRESH:
            self.speed = f"{self.images / (now - self.since):,.0f} img/s"
            self.images, self.since = 0, now
            loss = float(self.run.loss_sum) / max(1, self.run.images) * self.run.accelerator.num_processes
            self._note(f"loss {loss:.3f}")

    def finished(self, epoch: Epoch) -> None:
        """An epoch is done; a line of its own says how it went."""
        line = (
            f"epoch {epoch.epoch}/{epoch.epochs}: loss {epoch.loss:.3f}, held-out accuracy {epoch.accuracy:.2%}, "
            f"firing rate {epoch.firing_rate:.1%}, {epoch.images_per_second:,.0f} img/s"
        )
        self.bar.console.print(line, highlight=False)
        self.images, self.since = 0, time.perf_counter()

    def _note(self, loss: str) -> None:
        run, parts = self.run, [self.speed, loss]
        if run.history:
            parts.append(f"accuracy {run.history[-1].accuracy:.2%}")
        self.bar.update(self.task, note=f"epoch {run.epoch + 1}/{run.recipe.epochs}, {', '.join(parts)}")


@contextmanager
def training_progress(
    config: Config, run: TrainingRun, facts: dict[str, Any], shown: bool
) -> Iterator[TrainingProgress]:
    """Show a run while the context is open: first what it runs on, then a bar, and a line for each epoch."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(quiet=not shown)  # of its own: the global one goes on as it was
    with Progress(*columns, console=console, disable=not shown) as bar:
        if shown:
            processes = facts["processes"]
            count = "1 process" if processes == 1 else f"{processes} processes"
            bar.console.print(f"{config.name}: neurons on {facts['backend']}, {count}", highlight=False)
        yield TrainingProgress(bar, run, config.name)
