"""How well a model does: accuracy, and how often its neurons fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..models.neuron import Neuron

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """The share of images whose largest logit is at their label, and the spikes per neuron and time step."""

    accuracy: float
    firing_rate: float

    @classmethod
    def of(cls, counts: Tensor) -> Evaluation:
        """From images right, images, spikes, neurons times steps: [4]."""
        right, images, spikes, chances = counts.tolist()
        return cls(right / max(1, images), spikes / max(1, chances))


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images [N, ...] whose largest logit is their label [N]; the model is left in its mode."""
    was_training = model.training
    model.eval()
    batches = zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True)
    counts = count_batches(model, batches, scale=1)
    model.train(was_training)
    return Evaluation.of(counts).accuracy


@torch.no_grad()
def count_batches(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], scale: float, neurons: Set[str] | None = None
) -> Tensor:
    """Images right, images, spikes, neurons times steps: float64 [4], on the model's device.

    `batches` are images [B, ...], to be divided by `scale`, and labels [B]. `neurons` are the module paths of the
    populations that count; those of all `Neuron`s if None.
    """
    # A fixed model has no parameters; it takes images of any precision.
    weight = next(chain(model.parameters(), model.buffers()))
    dtype = weight.dtype if weight.is_floating_point() else torch.float32
    counts = torch.zeros(4, dtype=torch.float64, device=weight.device)
    with _counting_spikes(model, counts, neuron_paths(model) if neurons is None else neurons):
        for images, labels in batches:
            guesses = model(images.to(weight.device, dtype) / scale).argmax(1)
            counts[0] += (guesses == labels.to(weight.device)).sum()
            counts[1] += len(labels)
    return counts


def neuron_paths(model: nn.Module) -> Set[str]:
    """The module paths of all neurons of a float model; its fixed model has populations at the same paths."""
    return {path for path, module in model.named_modules() if isinstance(module, Neuron)}


@contextmanager
def _counting_spikes(model: nn.Module, counts: Tensor, neurons: Set[str]) -> Iterator[None]:
    def add(module: nn.Module, inputs: tuple[Any, ...], spikes: Tensor) -> None:
        counts[2] += spikes.sum(dtype=torch.float64)
        counts[3] += spikes.numel()

    hooks = [model.get_submodule(path).register_forward_hook(add) for path in neurons]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
