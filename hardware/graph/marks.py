"""Is a nested graph what its mark says? A mark lets a target run an operation at once; it is a hint, not believed.

Three answers, in this order:

1. The gates are those that the toolkit writes for the operation, node for node: the mark is proven.
2. On some of the samples the gates give something else: the mark is wrong, and an error names both values.
3. Other gates that agree on the samples: nothing is proven, so the gates are executed.
"""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np

from ..errors import GraphError, RangeError
from .equality import same_graph
from .flat import FlatGraph
from .gates.primitives import MARK
from .neuron import TIME_STEP
from .nodes import Delaying, Memoryless, Spiking, kind_of
from .operations import Operation, operations

SAMPLES = 125  # every combination of five rates for three inputs (self_attention.py)
MOST_VALUES = 2_000_000  # of all gates and sums together, that are computed for the samples of one nested graph


def mark_of(graph: nir.NIRGraph) -> str | None:
    """The name of the operation that a nested graph is marked with; None if it is not."""
    mark = graph.metadata.get(MARK)
    mark = mark.decode() if isinstance(mark, bytes) else mark
    return mark if isinstance(mark, str) and mark in operations() else None


def marked_operation(name: str, graph: nir.NIRGraph) -> Operation | None:
    """The operation that a nested graph is marked with; None if it is not. Raises GraphError for a wrong mark."""
    mark = mark_of(graph)
    if mark is None:
        return None
    input_shape, output_shape = (
        tuple(int(n) for n in np.asarray(next(iter(ports.values()))).reshape(-1))
        for ports in (graph.input_type, graph.output_type)
    )
    if any(len(shape) != 3 for shape in (input_shape, output_shape)):
        raise GraphError(f"nested graph '{name}' is marked '{mark}', but its shapes are {input_shape}, {output_shape}")
    try:
        return operations()[mark].from_metadata(input_shape, output_shape, graph.metadata)
    except KeyError as error:
        if error.args[0] in ("low", "high"):
            return None  # a file of version 0.1.0, whose pools do not say their range: its gates are executed
        raise GraphError(f"nested graph '{name}' is marked '{mark}' without {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"nested graph '{name}' is marked '{mark}', but {error}") from error


def is_proven(operation: Operation, graph: nir.NIRGraph) -> bool:
    """Whether the nested graph is, node for node and edge for edge, what the toolkit writes for the operation."""
    if any(isinstance(node, nir.NIRGraph) for node in graph.nodes.values()):
        return False
    gates = (node for node in graph.nodes.values() if isinstance(node, nir.Threshold))
    if operation.gate_count != sum(int(np.size(node.threshold)) for node in gates):
        return False  # so that a mark cannot ask for more gates than the file has
    return same_graph(operation.gates(), graph)


def disagreement(operation: Operation, gates: FlatGraph) -> str | None:
    """Where gates and operation give something else on the samples, as words; None where they agree.

    As many samples are taken as `MOST_VALUES` allows; none of a graph that is larger for one.
    """
    values = sum(int(np.prod(shape)) for shape in gates.shapes.values())
    count = min(SAMPLES, MOST_VALUES // max(1, values, operation.largest))
    if not count:
        return None
    inputs = operation.samples(np.random.default_rng(0), count)
    wanted, found = operation.apply(inputs), evaluate(gates, inputs)
    if wanted.shape != found.shape:
        return f"its gates give {found.shape[1:]} and not {wanted.shape[1:]}"
    different = np.argwhere(wanted != found)
    if not len(different):
        return None
    first = tuple(int(i) for i in different[0])
    return (
        f"its gates give {found[first]:g} where the operation gives {wanted[first]:g} "
        f"({len(different):,} of {wanted.size:,} values differ on {count} samples)"
    )


def evaluate(gates: FlatGraph, inputs: np.ndarray) -> np.ndarray:
    """The output of a graph without memory, in float64: inputs [N, ...] -> [N, ...]. Raises GraphError for a memory."""
    if gates.feedback:
        raise GraphError(f"'{next(iter(gates.feedback))[0]}' hears itself; gates have no memory")
    values: dict[str, np.ndarray] = {gates.input_name: inputs}
    total = inputs
    for name, node in gates.nodes.items():
        if not gates.sources[name]:
            continue
        total = sum((values[source] for source in gates.sources[name][1:]), values[gates.sources[name][0]])
        kind = kind_of(node)
        if isinstance(kind, Memoryless):
            values[name] = kind.apply(node, total) + kind.bias(node)
        elif isinstance(kind, Delaying):
            raise GraphError(f"'{name}' has a memory; gates have none")
        elif isinstance(kind, Spiking):
            neuron = kind.integer(name, node, TIME_STEP, gates.chip)
            if not neuron.forgets:
                raise GraphError(f"'{name}' has a memory; gates have none")
            values[name] = (total * gates.chip.fraction > neuron.threshold).astype(np.float64)
    return total


def check_mark(name: str, operation: Operation, graph: nir.NIRGraph, flat_gates: Callable[[], FlatGraph]) -> bool:
    """Whether the operation may run in the place of its gates. Raises GraphError where the mark is wrong.

    flat_gates: gives the nested graph flattened.
    """
    if is_proven(operation, graph):
        return True
    try:
        wrong = disagreement(operation, flat_gates())
    except (GraphError, RangeError) as error:
        wrong = str(error)
    if wrong:
        raise GraphError(
            f"nested graph '{name}' is marked '{operation.name}', but {wrong}; "
            "remove the mark (metadata 'computes'), or execute the gates: fused=False, --gates"
        )
    return False
