"""Training recipes, as data: the papers' and those of the shipped checkpoints."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from hardware.errors import InputError

from ..models.schema import Choice, Flag, Integer, Maybe, Number, Schema, check_fields
from .augment import Augmentation

PRECISIONS = ("fp32", "bf16")
MOST_EPOCHS = 100_000  # log and history are written whole after each; the longest published run has 410
MOST_IMAGES = 1 << 20  # of a batch; all of ImageNet has 1.28 million
MOST_RATE = 1e30  # float32 holds it, and what the optimizer makes of it
MOST_SEED = 2**64 - 1  # the generators of PyTorch take 64 bits
MOST_THREADS = 1024  # more than any machine has cores; each takes memory for its stack


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

    SCHEMA: ClassVar[Schema] = {
        "epochs": Integer(1, MOST_EPOCHS),
        "batch_size": Integer(1, MOST_IMAGES),
        "learning_rate": Number(0, MOST_RATE),
        "final_learning_rate": Number(0, MOST_RATE),
        "warm_up": Number(0, 1),
        "cool_down": Integer(0, MOST_EPOCHS),
        "weight_decay": Number(0, MOST_RATE),
        "label_smoothing": Number(0, 1),
        "mixing_epochs": Maybe(Integer(0, MOST_EPOCHS)),
        "accumulation": Integer(1, MOST_IMAGES),
        "precision": Choice("precision", {"precision": PRECISIONS}),
        "channels_last": Flag(),
        "compile": Flag(),
        "seed": Integer(0, MOST_SEED),
        "threads": Integer(1, MOST_THREADS),
    }

    def __post_init__(self) -> None:
        check_fields(self, self.SCHEMA, InputError)
        if self.cool_down >= self.epochs:
            raise InputError(f"cool_down is {self.cool_down}; it must be below epochs, which is {self.epochs}")
        if self.label_smoothing == 1:
            raise InputError("label_smoothing is 1; it must be below, or no label would be left")
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
