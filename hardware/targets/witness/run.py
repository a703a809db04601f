"""A graph on another tool: rewritten in the profile, imported, and run step by step in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import nir
import numpy as np

from ...errors import GraphError
from ...graph.flat import FlatGraph
from ...graph.flatten import flatten
from ...graph.profile import portable
from ...progress import Progress
from ...trace.spike_trace import SpikeTrace
from ..interface import Trace
from ..interpreter.values import check_inputs, shown

if TYPE_CHECKING:
    from .target import WitnessTarget

BATCH = 64  # samples at once
ROUNDING = 1e-3  # what a float sum of integers may be beside the integer; a pool of a tool divides and multiplies

Module = Any  # a torch.nn.Module


def run_witness(
    target: WitnessTarget,
    graph: nir.NIRGraph,
    inputs: np.ndarray,
    progress: Progress | None,
    into: Trace | None,
) -> Trace:
    """The trace of a graph, [T, B, ...] by population, in the order of execution."""
    flat = flatten(graph, fused=False)
    inputs = check_inputs(flat, inputs)
    names, renamed = prepared(target, graph)
    batches = []
    for start in range(0, inputs.shape[1], BATCH):
        if progress:
            progress(start, inputs.shape[1])
        batches.append(_run_batch(target, renamed, names, inputs[:, start : start + BATCH]))
    trace: Trace = SpikeTrace() if into is None else into
    for name in names.values():
        trace[name] = _as_declared(flat, name, np.concatenate([batch[name] for batch in batches], axis=1))
    return trace


def prepared(target: WitnessTarget, graph: nir.NIRGraph) -> tuple[dict[str, str], nir.NIRGraph]:
    """The graph in the profile under names that a module may have; and recorded populations: that name -> ours."""
    profile = portable(graph, inline=True)
    flat = flatten(profile)
    for name, node in profile.nodes.items():
        padded = isinstance(node, nir.SumPool2d) and np.any(node.padding)
        if padded or type(node).__name__ not in target.reads:
            raise GraphError(
                f"node '{name}' is a {type(node).__name__}, which {target.title} does not read as it is meant"
            )
    if len(flat.outputs) > 1:
        raise GraphError(f"the graph has {len(flat.outputs)} Output nodes; {target.title} gives one")
    order = [name for name in flat.nodes if name in profile.nodes]
    short = {name: f"node{number}" for number, name in enumerate(order)}
    nodes = {short[name]: profile.nodes[name] for name in order}
    edges = [(short[source], short[target]) for source, target in profile.edges]
    internal = flatten(graph, fused=False).internal
    recorded = [n for n in order if (flat.is_population(n) and n not in internal) or n in flat.outputs]
    return {short[name]: name for name in recorded}, nir.NIRGraph(nodes, edges, type_check=False)


def _run_batch(
    target: WitnessTarget, graph: nir.NIRGraph, names: dict[str, str], inputs: np.ndarray
) -> dict[str, np.ndarray]:
    import torch

    with torch.no_grad(), quiet():
        module = target.load(graph)
        seen: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
        (output,) = (short for short, node in graph.nodes.items() if isinstance(node, nir.Output))
        for short in names.keys() - {output}:
            module.get_submodule(short).register_forward_hook(_recorder(seen[names[short]]))
        state = None
        for step in inputs:
            *values, state = module(torch.from_numpy(step.astype(np.float32)), state)
            # Where several nodes lead to the Output, each is given, and not their sum (nirtorch 2.6,
            # nir_interpreter.py, `_construct_fx_graph`).
            seen[names[output]].append(sum(values[1:], values[0]).numpy().copy())
    return {name: np.stack(steps) for name, steps in seen.items()}


def _recorder(steps: list[np.ndarray]) -> Callable[..., None]:
    def record(module: Module, arguments: Any, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        steps.append(value.detach().numpy().copy())

    return record


def _as_declared(flat: FlatGraph, name: str, values: np.ndarray) -> np.ndarray:
    """Spikes as int8, sums at an Output as int32 in the shape that our graph gives them."""
    if name not in flat.outputs:
        return values.astype(np.int8)
    rounded = np.rint(values.astype(np.float64))
    if np.abs(rounded - values).max() > ROUNDING:
        rounded = values.astype(np.float64)  # for `shown` to refuse
    return shown(name, rounded).reshape(*values.shape[:2], *flat.shapes[name])


@contextmanager
def quiet() -> Iterator[None]:
    """Tools print and warn while they import a graph; what they say of ours is known."""
    import contextlib
    import io
    import logging
    import warnings

    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
