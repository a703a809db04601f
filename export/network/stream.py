"""What travels between nodes: sums of integers whose worth and range are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from torch import nn

from qkformer import Neuron
from qkformer.models.logic import Mask, SpikePool

from ..errors import ExportError
from .cells import Cell
from .layers import Delay, GroupSum, Reshape, TokenSum, WindowSum
from .node_network import NodeNetwork
from .output import Output


@dataclass(frozen=True)
class Stream:
    """The sum of the values of some nodes, integers, each worth `scale`; low, high: the least and largest sum.

    Streams are added with `+`. Raises ExportError where their 1s are not worth the same.
    """

    terms: tuple[str, ...]
    scale: float
    low: int
    high: int

    def __add__(self, other: Stream) -> Stream:
        if self.scale != other.scale:
            raise ExportError(
                f"{' + '.join(self.terms)} and {' + '.join(other.terms)} are added, but 1 is worth {self.scale:g} in "
                f"the one and {other.scale:g} in the other; give each a convolution of its own"
            )
        return Stream(self.terms + other.terms, self.scale, self.low + other.low, self.high + other.high)

    def summed(self, name: str, count: int) -> Stream:
        """The value of a node that adds `count` values of this stream."""
        return Stream((name,), self.scale, count * self.low, count * self.high)


def one_spike_suffices(neuron: Neuron, stream: Stream) -> bool:
    """Whether a neuron fires whenever anything arrives (v_threshold <= gain * scale), and so never holds charge: OR."""
    return stream.low >= 0 and neuron.v_threshold / neuron.input_gain <= stream.scale


def read_stream(streams: Mapping[str, Stream], sources: tuple[str, ...]) -> Stream | None:
    """The sum of some nodes' values; None where one is a current, whose scale is decided later."""
    if not all(source in streams for source in sources):
        return None
    return reduce(add, (streams[source] for source in sources))


def find_streams(
    network: NodeNetwork, shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Stream]
) -> dict[str, Stream]:
    """The stream of every node of a float network whose value is an integer whatever the weights; and those given.

    shapes: of each node's value, [C, H, W]. Currents, of convolutions and self-attention, have none.
    """
    streams = dict(given)
    for node in network.nodes:
        module, sources = network.get_submodule(node.name), node.arguments[-1]
        found = _stream(node.name, module, read_stream(streams, sources), shapes[sources[0]])
        if found is not None:
            streams[node.name] = found
    return streams


def _stream(name: str, module: nn.Module, read: Stream | None, shape: tuple[int, ...]) -> Stream | None:
    if isinstance(module, Cell) and not module.fires:
        return None
    if isinstance(module, (Neuron, Cell)):
        return Stream((name,), 1.0, 0, 1)
    if read is None:
        return None
    if isinstance(module, GroupSum):
        return read.summed(name, shape[0] // module.groups)
    if isinstance(module, WindowSum):
        summed = read.summed(name, module.count)
        return replace(summed, scale=summed.scale * module.share)
    if isinstance(module, (Reshape, Delay, Output)):
        return Stream((name,), read.scale, min(read.low, 0), max(read.high, 0))
    if isinstance(module, TokenSum):
        return read.summed(name, shape[1] * shape[2])
    if isinstance(module, (Mask, SpikePool)):  # of a mask, what its last argument lets through
        return Stream((name,), read.scale, min(read.low, 0), max(read.high, 0))
    return None
