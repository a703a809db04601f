"""Where spikes and currents meet, spikes get a synapse of weight 1, which can be quantized like the others.

A drive (v_leak other than v_reset) is a constant current, and needs a synapse as well, whose bias it becomes. So does
a membrane that is read: its gains become part of the weights before it, so that 1 is worth the same in all of it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..network.cells import Cell, FloatCell, RecurrentCell
from ..network.float_network import FloatNetwork
from ..network.layers import Delay, Reshape, WindowSum
from ..network.output import Output
from ..network.synapses import Convolve, Dense, FloatSynapses, Scaling

MOST_DENSE = 4096  # values of a vector that a matrix of the identity may have


def with_synapses(network: FloatNetwork) -> FloatNetwork:
    """The same network, with a synapse of weight 1 for all spikes and pooled spikes that meet currents."""
    shapes, currents = network.shapes(), set(_currents(network))
    if not any(isinstance(network.get_submodule(node.name), (Cell, Output)) for node in network.nodes):
        return network
    result = FloatNetwork(network.encoding)
    for node in network.nodes:
        module = network.get_submodule(node.name)
        arguments = node.arguments
        if isinstance(module, (Cell, Output)) and _needs_synapses(module, arguments[0], currents):
            sources = arguments[0]
            met = [_through_synapse(result, node.name, s, shapes[s]) if s not in currents else s for s in sources]
            arguments = (tuple(met),)
        result.add(node.name, module, *arguments)
    return _with_even_membranes(result).eval()


def _with_even_membranes(network: FloatNetwork) -> FloatNetwork:
    """The same network, in which the membranes that are read have gain 1. Raises ExportError where none can have it."""
    found: dict[str, nn.Module] = {}
    for node in network.nodes:
        cell = cell_of(network.get_submodule(node.name))
        if cell is None or cell.fires:
            continue
        if cell.reset is not None and cell.reset.any():
            level = cell.reset.reshape(-1)[cell.reset.abs().argmax()]
            raise ExportError(f"{node.name}: v_leak is {level:g}; a membrane that is read rests at 0 on a chip")
        for source in node.arguments[0]:
            found[source] = _amplified(network, source, node.name, cell.whole_gain)
        found[node.name] = cell.of_unit_gain()
    if not found:
        return network
    result = FloatNetwork(network.encoding)
    for node in network.nodes:
        result.add(node.name, found.get(node.name) or network.get_submodule(node.name), *node.arguments)
    return result


def _amplified(network: FloatNetwork, name: str, reader: str, gain: Tensor) -> FloatSynapses:
    """A synapse that gives `gain` times as much to its only reader."""
    synapse = network.get_submodule(name)
    readers = [node.name for node in network.nodes if any(name in argument for argument in node.arguments)]
    if not isinstance(synapse, FloatSynapses) or readers != [reader]:
        raise ExportError(f"{reader}: its membrane is read, and needs a synapse of its own before it, not {name}")
    amplified = synapse.amplified(gain)
    if amplified is None:
        raise ExportError(f"{reader}: its gains differ within a channel of {name}, which has one weight for all of it")
    return amplified


def _needs_synapses(module: nn.Module, sources: tuple[str, ...], currents: set[str]) -> bool:
    direct = [source for source in sources if source not in currents]
    if not direct:
        return False
    cell = cell_of(module)
    driven = isinstance(module, RecurrentCell) or (cell is not None and (bool(cell.drive.any()) or not cell.fires))
    return len(direct) < len(sources) or driven


def cell_of(module: nn.Module) -> FloatCell | None:
    """The float neuron of a population, whether or not it hears itself."""
    cell = module.cell if isinstance(module, RecurrentCell) else module
    return cell if isinstance(cell, FloatCell) else None


def _currents(network: FloatNetwork) -> list[str]:
    """The nodes whose values come from synapses, without a population between."""
    found: set[str] = set()
    for node in network.nodes:
        module = network.get_submodule(node.name)
        passes = isinstance(module, (WindowSum, Reshape, Delay)) and any(s in found for s in node.arguments[0])
        if isinstance(module, FloatSynapses) or passes:
            found.add(node.name)
    return list(found)


def _through_synapse(network: FloatNetwork, reader: str, source: str, shape: tuple[int, ...]) -> str:
    name = f"{reader}_from_{source}"
    while any(node.name == name for node in network.nodes):
        name += "'"
    return network.add(name, FloatSynapses(*_identity(shape)), source)


def _identity(shape: tuple[int, ...]) -> tuple[Dense | Convolve | Scaling, Tensor]:
    if len(shape) == 1 and shape[0] <= MOST_DENSE:
        return Dense(), torch.eye(shape[0])
    if len(shape) == 3:
        return Convolve((1, 1), (0, 0), (1, 1), shape[0]), torch.ones(shape[0], 1, 1, 1)
    return Scaling(), torch.from_numpy(np.ones(shape))
