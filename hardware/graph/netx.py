"""An integer graph -> lava-dl's net exchange file (HDF5), which its netx runs in Lava: layers in a row, each fired.

netx has dense layers and convolutions, each with a neuron whose numbers are alike for all of it; lava-dl 0.6.0,
lava/lib/dl/netx/hdf5.py. It knows no branch, no sum of two layers, no pool and no output that is read and not fired.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from ..chip import LOIHI_2
from ..chip.chip import Chip
from ..errors import GraphError
from ..files import write_atomically
from .flat import FlatGraph, at_rest
from .flatten import flatten
from .neuron import distinct
from .nodes import Spiking, kind_of
from .numbers import check_numbers, integer_neuron

DENSE, CONVOLUTION = (nir.Linear, nir.Affine), (nir.Conv2d,)
SIGNED_WEIGHTS = (-256, 254)  # of a dense layer whose weights have both signs: 8 bits, the last of them 2
UNSIGNED_WEIGHTS = (-256, 255)


def write_netx(graph: nir.NIRGraph, path: str | Path, *, chip: Chip = LOIHI_2) -> None:
    """Write what `lava.lib.dl.netx.hdf5.Network` reads, whole or not at all.

    graph: of integers, [C, H, W] or [features] at each edge: Input, then Conv2d, Affine or Linear and IF, LIF, CubaLIF
    or Threshold in turn, perhaps a Flatten between, then Output.
    Raises GraphError for the first node that netx has no layer for, and for a number that it would clip; and what a
    graph that cannot be run raises.
    """
    flat = flatten(graph, chip=chip)
    check_numbers(flat)
    contents = io.BytesIO()
    with h5py.File(contents, "w") as file:
        _write_layers(_Row(flat), file)
    write_atomically(path, lambda temporary: temporary.write_bytes(contents.getbuffer()))


def formats_of_netx(chip: Chip) -> Chip:
    """A chip's number formats as far as netx has them: no exponent of weights. Quantize for these what it is to run."""
    return replace(chip, weight_exponent_range=(0, 0))


class _Row:
    """A graph in which each node has one reader."""

    def __init__(self, flat: FlatGraph):
        self.flat, self.resting = flat, at_rest(flat)

    def after(self, name: str) -> str:
        """The only node that reads this one, and nothing else. Raises GraphError."""
        readers = [reader for reader, sources in self.flat.sources.items() if name in sources]
        if len(readers) != 1:
            raise GraphError(f"'{name}' is read by {' and '.join(readers) or 'nothing'}; netx has layers in a row only")
        if self.flat.sources[readers[0]] != (name,):
            others = " and ".join(source for source in self.flat.sources[readers[0]])
            raise GraphError(f"'{readers[0]}' adds up {others}; netx has layers in a row only")
        return readers[0]


def _write_layers(row: _Row, file: h5py.File) -> None:
    flat, name = row.flat, row.flat.input_name
    count = 0

    def layer(kind: str) -> Any:
        nonlocal count
        group = file.create_group(f"layer/{count}")
        group.create_dataset("type", (1,), "S10", [kind.encode()])
        count += 1
        return group

    layer("input")["shape"] = np.array(flat.shapes[name])
    while not isinstance(flat.nodes[synapse := row.after(name)], nir.Output):
        node = flat.nodes[synapse]
        if isinstance(node, nir.Flatten):
            layer("flatten")
            name = synapse
            continue
        if not isinstance(node, (*DENSE, *CONVOLUTION)):
            raise GraphError(f"'{synapse}' is a {type(node).__name__}, for which netx has no layer")
        name = row.after(synapse)
        if not isinstance(kind_of(flat.nodes[name]), Spiking):
            raise GraphError(f"'{synapse}' is read by '{name}' without a neuron, and netx has none without")
        group = layer("conv" if isinstance(node, CONVOLUTION) else "dense")
        _write_synapses(group, synapse, node, flat.shapes[name])
        _write_bias(group, name, row.resting[name], flat.chip)
        _write_neuron(group.create_group("neuron"), flat, name)
    if count == 1:
        raise GraphError("the graph has no layer between Input and Output, which netx needs")


def _write_synapses(group: Any, name: str, node: Any, shape: tuple[int, ...]) -> None:
    weight = np.asarray(node.weight).astype(np.int32)
    group["shape"] = np.array(shape)
    if isinstance(node, CONVOLUTION):
        group["weight"] = weight[..., None]
        for field in ("stride", "padding", "dilation"):
            group[field] = np.broadcast_to(np.asarray(getattr(node, field)), 2).astype(int)
        group["groups"] = int(node.groups)
        return
    low, high = int(weight.min()), int(weight.max())
    least, most = SIGNED_WEIGHTS if low < 0 < high else UNSIGNED_WEIGHTS
    if low < least or high > most or low == high == 0:
        raise GraphError(
            f"'{name}' has weights within {low} .. {high}; netx holds {least} .. {most} there, and not only 0"
        )
    group["weight"] = weight


def _write_bias(group: Any, name: str, bias: np.ndarray, chip: Chip) -> None:
    """One a channel, without an exponent: netx has 6 for all, the bits of a membrane's fraction."""
    if not bias.any():
        return
    low, high = chip.bias_mantissa_range
    if bias.min() < low or bias.max() > high:
        raise GraphError(
            f"'{name}' has a bias of {bias.reshape(-1)[np.abs(bias).argmax()]:g}; netx holds {low} .. {high}"
        )
    rows = bias.reshape(len(bias), -1)
    group["bias"] = rows[:, 0].astype(np.int32)


def _write_neuron(group: Any, flat: FlatGraph, name: str) -> None:
    neuron = integer_neuron(flat, name)
    unity = flat.chip.decay_unity
    current_decay = np.full(1, unity) if neuron.current_decay is None else neuron.current_decay
    group.create_dataset("type", (1,), "S10", [b"CUBA"])
    numbers = {"iDecay": current_decay, "vDecay": neuron.decay, "vThMant": neuron.synaptic_threshold(name)}
    for field, values in numbers.items():
        if distinct(values).size > 1:
            raise GraphError(f"'{name}' has neurons that differ in {field}; netx has one for all of a layer")
        group[field] = int(distinct(values)[0])
    group["refDelay"] = 1
    group["gradedSpike"] = False
