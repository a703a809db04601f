"""Has every neuron and every bias of a graph a form in the formats of a chip? What `flatten` does not look at."""

from __future__ import annotations

from ..chip.arithmetic import encode_bias
from .flat import FlatGraph, at_rest
from .neuron import TIME_STEP, IntegerNeuron
from .nodes import Readout, Spiking, kind_of, spiking


def integer_neuron(graph: FlatGraph, name: str) -> IntegerNeuron:
    """The neuron of the graph's chip that a population, or a membrane that is read, exactly is.

    Raises GraphError or RangeError if there is none.
    """
    node = graph.nodes[name]
    kind = kind_of(node)
    if not isinstance(kind, Readout):
        kind = spiking(name, node)
    return kind.integer(name, node, TIME_STEP, graph.chip)


def check_numbers(graph: FlatGraph) -> None:
    """Raise GraphError or RangeError, which name the population, unless all neurons and biases have the chip's form."""
    resting = at_rest(graph)
    for name, node in graph.nodes.items():
        kind = kind_of(node)
        if isinstance(kind, (Readout, Spiking)):
            kind.integer(name, node, TIME_STEP, graph.chip)
            encode_bias(name, resting[name], graph.chip)
