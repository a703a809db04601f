"""A training run: all that changes while training, one step at a time, saved and restored exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hardware.errors import UserError

from ..checkpoints.writing import write_pickle
from ..data.image_data import ImageData
from ..models.config import Config
from ..models.model import SpikingTransformer, create_model
from .epoch import Epoch
from .evaluate import EVALUATION_BATCH, Evaluation, count_batches, neuron_paths
from .objective import Objective
from .recipe import Recipe
from .state import Expected, read_state
from .synchronized_batchnorm import synchronize_batchnorm

if TYPE_CHECKING:
    from accelerate import Accelerator

Wrap = Callable[[SpikingTransformer], nn.Module]


class TrainingError(UserError, RuntimeError):
    """A run that cannot go on."""


class TrainingRun:
    """A model with its optimizer, at a step of an epoch. Every random number follows from the seed and the step.

    Hence nothing of a random generator needs saving, and a batch is the same whether or not the run was
    interrupted before it.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        config: Config,
        data: ImageData,
        recipe: Recipe,
        *,
        initial: dict[str, Tensor] | None = None,
        wrap: Wrap | None = None,
        workers: int = 0,
        task: dict[str, Any],
    ) -> None:
        self.accelerator, self.data, self.recipe, self.task = accelerator, data, recipe, task
        self.share = {"rank": accelerator.process_index, "world": accelerator.num_processes, "workers": workers}
        self.model = _seeded_model(config, recipe.seed)
        if initial is not None:
            self.model.load_state_dict(initial)
        # A copy that is evaluated: without autocast, without torch.compile.
        self.copy = create_model(config).eval().to(accelerator.device)
        self.evaluated = wrap(self.copy).eval() if wrap else self.copy
        self.steps_per_epoch = data.steps_per_epoch(recipe.batch_size, accelerator.num_processes)
        if accelerator.num_processes > 1:
            synchronize_batchnorm(self.model, accelerator.device)
        if recipe.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its types
        objective = Objective(wrap(self.model) if wrap else self.model, recipe.label_smoothing)
        self.objective, self.optimizer = accelerator.prepare(
            torch.compile(objective) if recipe.compile else objective, _optimizer(self.model, recipe)
        )
        self.epoch = self.step = 0
        self.loss_sum, self.images = torch.zeros((), dtype=torch.float64, device=accelerator.device), 0
        self.seconds = 0.0
        self.history: list[Epoch] = []

    @property
    def finished(self) -> bool:
        """Whether every epoch is done."""
        return self.epoch == self.recipe.epochs

    def train_epoch(self) -> Iterator[int]:
        """What is left of the epoch; yields the number of images after each step of the optimizer."""
        order = {"seed": self.recipe.seed, "epoch": self.epoch, "start": self.step}
        batches = self.data.train_batches(batch_size=self.recipe.batch_size, **order, **self.share)
        self.objective.train()
        started = time.perf_counter()
        for images, labels in batches:
            count = len(labels)
            if self.accelerator.num_processes > 1:
                count = int(self.accelerator.reduce(torch.tensor(count, device=self.accelerator.device)))
            self._train_step(images, labels, count)
            self.step += 1
            self.images += count
            now = time.perf_counter()
            self.seconds, started = self.seconds + now - started, now
            yield count

    def _train_step(self, images: Tensor, labels: Tensor, count: int) -> None:
        device, recipe = self.accelerator.device, self.recipe
        steps = self.steps_per_epoch
        rate = recipe.learning_rate_at(self.epoch * steps + self.step, recipe.epochs * steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, targets = recipe.augmentation_at(self.epoch)(
            images.to(device, torch.get_default_dtype()) / self.data.scale,
            labels.to(device),
            self.model.config.num_classes,
            (recipe.seed, self.epoch, self.step),
            batch_size=recipe.batch_size,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        if recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad()
        # As many on every process, and none empty, also of an epoch's last, smaller batch.
        micro_batches = min(recipe.accumulation, count // self.accelerator.num_processes)
        parts = list(zip(images.tensor_split(micro_batches), targets.tensor_split(micro_batches), strict=True))
        for number, (some, their_targets) in enumerate(parts, start=1):
            last = number == len(parts)
            with nullcontext() if last else self.accelerator.no_sync(self.objective):
                loss = self.objective(some, their_targets)
                # The mean over the whole batch; processes' gradients are averaged, hence their number.
                self.accelerator.backward(loss * (self.accelerator.num_processes / count))
            self.loss_sum += loss.detach()
        self.optimizer.step()

    def finish_epoch(self) -> Epoch:
        """Evaluate, and make ready for the next epoch.

        Raises:
            TrainingError: the loss is not finite.
        """
        loss = float(self.accelerator.reduce(self.loss_sum)) / max(1, self.images)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of epoch {self.epoch + 1} is {loss}; lower the learning rate, {self.recipe.learning_rate}"
            )
        started, trained = time.perf_counter(), self.seconds - (self.history[-1].seconds if self.history else 0.0)
        found = self.evaluate()
        self.seconds += time.perf_counter() - started
        self.epoch, self.step = self.epoch + 1, 0
        epoch = Epoch(
            self.epoch,
            self.recipe.epochs,
            loss,
            found.accuracy,
            round(self.seconds, 2),
            round(found.firing_rate, 5),
            round(self.images / max(trained, 1e-9), 1),
        )
        self.loss_sum, self.images = torch.zeros_like(self.loss_sum), 0
        self.history.append(epoch)
        return epoch

    def evaluate(self) -> Evaluation:
        """The weights as they are, on the held-out images, without autocast; through the wrapper if there is one."""
        self.copy.load_state_dict(self.model.state_dict())
        batches = self.data.test_batches(batch_size=EVALUATION_BATCH * self.accelerator.num_processes, **self.share)
        counts = count_batches(self.evaluated, batches, self.data.scale, neuron_paths(self.copy))
        return Evaluation.of(self.accelerator.reduce(counts))

    def save(self, path: Path) -> None:
        """Write the state, from the main process: plain tensors and numbers."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "task": self.task,
            "history": [asdict(epoch) for epoch in self.history],
            "at": {"epoch": self.epoch, "step": self.step, "images": self.images, "seconds": self.seconds},
            "loss_sum": self.accelerator.reduce(self.loss_sum),
        }
        if self.accelerator.is_main_process:
            write_pickle(path, state)
        self.accelerator.wait_for_everyone()

    def load(self, path: Path) -> None:
        """Go on where `save` was called.

        Raises:
            CheckpointError: no such file, not a training state, or that of another task.
        """
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state = read_state(
            path,
            Expected(
                self.task,
                self.recipe,
                self.steps_per_epoch,
                self.model.state_dict(),
                parameters,
                all_train=not self.model.config.unused,
            ),
        )
        self.model.load_state_dict(state.model)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state.moments, "param_groups": groups})
        self.history = state.history
        for name, value in state.at.items():
            setattr(self, name, value)
        # The sum is over all processes; each goes on with its part.
        self.loss_sum = state.loss_sum.to(self.loss_sum.device) / self.accelerator.num_processes


def _seeded_model(config: Config, seed: int) -> SpikingTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model(config)


def _optimizer(model: SpikingTransformer, recipe: Recipe) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
