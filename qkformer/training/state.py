"""The state of a run in a file, as a schema: what a run goes on from, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.errors import CheckpointError
from ..checkpoints.pickle_file import read_pickle
from ..checkpoints.weights import check_weights
from ..models.schema import Integer, Number, Schema, check_fields, check_names, check_table, construct, shown
from .epoch import Epoch
from .recipe import Recipe

PARTS = ("model", "optimizer", "task", "history", "at", "loss_sum")
LISTED_FIELDS = 5  # of those that differ
LONGEST = 1e12  # seconds
LARGEST = 1e30  # a loss, or images per second


@dataclass(frozen=True)
class State:
    """Where a run is: its weights, its optimizer's moments, its epochs, the step and the sums since the last."""

    model: dict[str, Tensor]
    moments: dict[int, dict[str, Tensor]]
    history: list[Epoch]
    at: dict[str, Any]
    loss_sum: Tensor


@dataclass(frozen=True)
class Expected:
    """What a state must fit. task: what decides the outcome of a run, as plain values; steps: of an epoch."""

    task: Mapping[str, Any]
    recipe: Recipe
    steps: int
    model: Mapping[str, Tensor]
    parameters: list[Tensor]
    all_train: bool  # whether every parameter has moments once a step is done


def read_state(path: Path, expected: Expected) -> State:
    """A state of the same task.

    Raises:
        CheckpointError: no such file, not a training state, one with a part out of its range, or that of another task.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no state to resume from; train without resuming first")
    found = read_pickle(path)
    check_names(found, PARTS, PARTS, CheckpointError, f"{path}: not a training state: it")
    check_table(found["task"], CheckpointError, f"{path}: task")
    if changes := differing_fields(found["task"], expected.task):
        raise CheckpointError(f"{path}: the run to resume was another: {changes}")
    epochs = expected.recipe.epochs
    at = _numbers(path, found["at"], _at(epochs, expected.steps), "at")
    if at["epoch"] == epochs and at["step"]:
        raise CheckpointError(f"{path}: at: step is {at['step']} after the last of {epochs} epochs; it must be 0")
    weights = check_weights(path, expected.model, _tensors(path, found["model"], "model"), "the model")
    steps_done = at["epoch"] * expected.steps + at["step"]
    moments = _moments(path, found["optimizer"], expected, required=expected.all_train and steps_done > 0)
    sums = _tensors(path, {"loss_sum": found["loss_sum"]}, "sums")
    sums = check_weights(path, {"loss_sum": torch.zeros((), dtype=torch.float64)}, sums, "the sum of losses")
    history = _history(path, found["history"], epochs, at["epoch"])
    return State(weights, moments, history, dict(at), sums["loss_sum"])


def differing_fields(old: Any, new: Any) -> str:
    """`name: old -> new` of every field that differs between two nested tables; empty if none does."""
    before, after = dict(_fields("", old)), dict(_fields("", new))
    names = [name for name in {**after, **before} if _text(before, name) != _text(after, name)]
    changes = [
        f"{name or 'task'}: {shown(before[name]) if name in before else 'nothing'} -> "
        f"{shown(after[name]) if name in after else 'nothing'}"
        for name in names
    ]
    rest = len(changes) - LISTED_FIELDS
    return "; ".join(changes[:LISTED_FIELDS]) + (f"; and {rest} more" if rest > 0 else "")


def _fields(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _fields(f"{prefix}.{name}" if prefix else shown(name).strip("'"), entry)
    elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping | list | tuple) for entry in value):
        for number, entry in enumerate(value):
            yield from _fields(f"{prefix}.{number}", entry)
    else:
        yield prefix, value


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    """A value as it compares; a list is what it is in JSON, where there are no tuples."""
    return json.dumps(fields[name], default=shown) if name in fields else None


def _at(epochs: int, steps: int) -> Schema:
    return {
        "epoch": Integer(0, epochs),
        "step": Integer(0, steps),
        "images": Integer(0, 1 << 53),
        "seconds": Number(0, LONGEST),
    }


def _numbers(path: Path, values: Any, schema: Schema, what: str) -> Mapping[str, Any]:
    check_names(values, schema, schema, CheckpointError, f"{path}: {what}")
    check_fields(values, schema, CheckpointError, f"{path}: {what}: ")
    numbers: Mapping[str, Any] = values
    return numbers


def _history(path: Path, values: Any, epochs: int, done: int) -> list[Epoch]:
    if not isinstance(values, list) or len(values) != done:
        count = len(values) if isinstance(values, list) else shown(values)
        raise CheckpointError(f"{path}: history is of {count} epochs; the state is after {done}")
    history = []
    for number, entry in enumerate(values, start=1):
        schema: Schema = {
            "epoch": Integer(number, number),
            "epochs": Integer(epochs, epochs),
            "loss": Number(0, LARGEST),
            "accuracy": Number(0, 1),
            "seconds": Number(0, LONGEST),
            "firing_rate": Number(0, LARGEST),
            "images_per_second": Number(0, LARGEST),
        }
        _numbers(path, entry, schema, f"history: epoch {number}")
        history.append(construct(Epoch, entry, CheckpointError, f"{path}: history"))
    return history


def _tensors(path: Path, values: Any, what: str) -> dict[str, Tensor]:
    check_table(values, CheckpointError, f"{path}: {what}")
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {what}: {shown(name)} is a {type(value).__name__}, not a tensor")
    return dict(values)


def _moments(path: Path, values: Any, expected: Expected, required: bool) -> dict[int, dict[str, Tensor]]:
    """What AdamW remembers of each parameter. Its numbers (learning rate and such) follow from the recipe."""
    names = ("state", "param_groups")
    check_names(values, names, names, CheckpointError, f"{path}: optimizer")
    every = range(len(expected.parameters))
    needed = every if required else ()
    check_names(values["state"], needed, every, CheckpointError, f"{path}: optimizer: state")
    moments = {}
    for number, entry in values["state"].items():
        parameter = expected.parameters[number]
        shapes = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        found = _tensors(path, entry, f"optimizer: state: {number}")
        moments[number] = check_weights(path, shapes, found, f"parameter {number} of the optimizer")
    return moments
