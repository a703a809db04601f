"""Training recipes, as data: the papers' and those of the shipped checkpoints."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hardware.errors import InputError

from .augment import Augmentation

PRECISIONS = ("fp32", "bf16")
AT_LEAST_ONE = ("epochs", "batch_size", "accumulation", "threads")


@dataclass(frozen=True)
class Recipe:
    """Every number that decides the outcome of a training run.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step of the optimizer, over all processes and micro-batches.
        learning_rate: the highest; AdamW's.
        final_learning_rate: the last, at the end of the cosine.
        warm_up: the share of all steps in which the rate rises, linearly, from 0.
        cool_down: epochs at the end at the last rate.
        weight_decay: of matrices; biases and BatchNorm have none.
        label_smoothing: the share of the target that is spread over all classes.
        augmentation: what is done to the images of a batch.
        mixing_epochs: epochs with mixup and cutmix, if not all; none in those after.
        accumulation: micro-batches per step, for batches larger than memory. BatchNorm sees micro-batches.
        precision: `fp32`, or `bf16` for matrix products (membranes stay float32).
        channels_last: the memory format of images and weights.
        compile: whether torch.compile runs over the model.
        seed: of weights, order and augmentation.
        threads: of a CPU; they decide the order of sums, hence their last digits, hence in time all others.

    Raises:
        InputError: a number out of its range.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 5e-3
    final_learning_rate: float = 1e-5
    warm_up: float = 0.1
    cool_down: int = 0
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(affine=1.0))
    mixing_epochs: int | None = None
    accumulation: int = 1
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("augmentation", "precision", "channels_last", "compile"):
                continue
            least = 1 if entry.name in AT_LEAST_ONE else 0
            if value is not None and not least <= value < math.inf:
                raise InputError(f"{entry.name} is {value}; it must be at least {least}")
        if self.cool_down >= self.epochs:
            raise InputError(f"cool_down is {self.cool_down}; it must be below epochs, which is {self.epochs}")
        if self.warm_up > 1 or self.label_smoothing >= 1:
            raise InputError(
                f"warm_up is {self.warm_up} and label_smoothing {self.label_smoothing}; they are shares, below 1"
            )
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}")
        if self.accumulation > self.batch_size:
            raise InputError(f"accumulation is {self.accumulation}; it must be at most batch_size, {self.batch_size}")

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The rate of step number `step` (from 0) of `steps`: linear warm-up, a cosine down to the last, cool-down."""
        rising, falling = round(self.warm_up * steps), round(steps * (1 - self.cool_down / self.epochs))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, falling - 1 - rising))
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * done)) / 2

    def augmentation_at(self, epoch: int) -> Augmentation:
        """What is done to images in an epoch, from 0."""
        mixes = self.mixing_epochs is None or epoch < self.mixing_epochs
        return self.augmentation if mixes else self.augmentation.without_mixing()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for JSON and for comparing a run with the one to resume."""
        return asdict(self)
