"""A NIR file of any tool as what the commands take: read by meaning, with the inputs that it is to be run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nir
import numpy as np

from export import FloatNetwork, from_nir, to_nir
from export.sources.graph import UNSAID
from hardware import GraphError, RangeError, flatten, read_graph
from hardware.errors import InputError
from hardware.graph.neuron import TIME_STEP
from hardware.graph.numbers import check_numbers
from hardware.graph.sequence_encoding import sequence_encoding_of

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


@dataclass(frozen=True)
class IntegerNetwork:
    """A graph of integers; inputs: integers [T, B, ...]; logit_scale: what 1 at the output, in sum, is worth."""

    graph: nir.NIRGraph
    inputs: np.ndarray
    logit_scale: float


def integer_network(file: Path, reading: Reading) -> IntegerNetwork | None:
    """A file that is of integers already, with its inputs encoded as its metadata says, if it does; or None."""
    if reading.inputs is None:
        raise InputError(f"{file}: is run on inputs: give them with --inputs FILE.npz")
    graph = read_graph(file, type_check=False)
    if reading.time_step != TIME_STEP or not _has_integers(graph):
        return None
    entry = next(node for node in graph.nodes.values() if isinstance(node, nir.Input))
    shape = tuple(int(n) for n in np.ravel(entry.input_type["input"]))
    inputs = load_sequences(reading.inputs, shape, reading.time_steps)
    encoding = sequence_encoding_of(graph)
    if encoding is None:
        return IntegerNetwork(graph, inputs, 1.0)
    return IntegerNetwork(graph, encoding.encode(inputs), encoding.logit_scale)


def _has_integers(graph: nir.NIRGraph) -> bool:
    """Whether a graph is a chip's network as it is: its weights, its biases, and its neurons.

    One with an IF or I of r = 1 is not, as such a neuron would be silent; what is meant is asked (from_nir).
    """
    try:
        flat = flatten(graph)
        check_numbers(flat)
    except (GraphError, RangeError):
        return False
    integrators = [flat.nodes[name] for name in flat.names_of(nir.IF, nir.I)]
    return not any(np.all(np.asarray(node.r) == 1) for node in integrators)


def runnable(file: Path, reading: Reading) -> tuple[nir.NIRGraph, np.ndarray, bool]:
    """A graph that the targets run, its inputs [T, B, ...], and whether it is of integers.

    One of integers is taken as it is; another is written anew in our own conventions, as NIR means it.
    """
    if known := integer_network(file, reading):
        return known.graph, known.inputs, True
    network, inputs = float_network(file, reading)
    return to_nir(network), inputs.astype(np.float64), False
