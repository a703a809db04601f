"""A NIR file of any tool as what the commands take: read by meaning, with the inputs that it is to be run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

from export import FloatNetwork, from_nir, to_nir
from export.sources.graph import UNSAID
from hardware import read_graph
from hardware.errors import InputError
from hardware.targets.interpreter.floating_point import is_integer

from .sequences import load_sequences
from .show import say

SUFFIX = ".nir"


@dataclass(frozen=True)
class Reading:
    """How a file of another tool is to be read, and what it is run on. inputs: an .npz file."""

    inputs: Path | None
    time_steps: int | None
    time_step: float
    unit_gain: bool


def is_graph(name: str) -> bool:
    """Whether a command's subject is a NIR file, and not a checkpoint."""
    return name.lower().endswith(SUFFIX)


def no_inputs(checkpoint: str, inputs: Path | None) -> None:
    """Raise InputError where --inputs are given with a checkpoint, which is run on --data."""
    if inputs is not None:
        raise InputError(f"--inputs are of a NIR file; {checkpoint} is a checkpoint, whose images --data names")


def float_network(file: Path, reading: Reading) -> tuple[FloatNetwork, np.ndarray]:
    """The float network of a file and its inputs [T, B, ...]. Says what the file cannot say."""
    if reading.inputs is None:
        raise InputError(f"{file}: a network of NIR is quantized for inputs: give them with --inputs FILE.npz")
    network = from_nir(
        read_graph(file, type_check=False), time_step=reading.time_step, unit_gain=reading.unit_gain, name=file.stem
    )
    inputs = load_sequences(reading.inputs, network.encoding.input_shape, reading.time_steps)
    say(f"note: {UNSAID}")
    return network, inputs


def runnable(file: Path, reading: Reading) -> tuple[nir.NIRGraph, np.ndarray, bool]:
    """A graph that the targets run, its inputs [T, B, ...], and whether it is of integers.

    One of integers is taken as it is; another is written anew in our own conventions, as NIR means it.
    """
    assert reading.inputs is not None
    graph = read_graph(file, type_check=False)
    if is_integer(graph):
        (entry,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
        shape = tuple(int(n) for n in np.ravel(entry.input_type["input"]))
        return graph, load_sequences(reading.inputs, shape, reading.time_steps), True
    network, inputs = float_network(file, reading)
    return to_nir(network), inputs.astype(np.float64), False
