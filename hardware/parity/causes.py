"""The cause of a layer's error, by elimination: numbers that differ, else a rule under which the spikes come out alike.

Each rule is an error that neuromorphic targets are known for. A rule is a cause only if it reproduces every one of the
target's spikes, exactly. Several may, where few spikes differ; they are all given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..graph.neuron import IntegerNeuron
from ..graph.populations import DrivenPopulation, PopulationGraph
from .explanation import Cause


def parameter_causes(name: str, reference: PopulationGraph, target: PopulationGraph) -> list[Cause]:
    """How a layer's numbers and connections differ between two graphs."""
    causes = []
    for node in (*reference.path(name), name):
        right, read = (sorted(side.flat.sources.get(node, ())) for side in (reference, target))
        if read != right:
            causes.append(Cause("connection", f"{node} reads {_listed(read)}; {_listed(right)} in the reference"))
    wanted, found = reference.parameters(name), target.parameters(name)
    for key in wanted.keys() & found.keys():
        if not np.array_equal(wanted[key], found[key]):
            fraction = reference.flat.chip.fraction
            causes.append(_parameter_cause(key, np.asarray(wanted[key]), np.asarray(found[key]), fraction))
    permuted = [cause for cause in causes if cause.kind == "permuted channels"]
    return permuted or sorted(causes, key=lambda cause: cause.text)


def behaviour_causes(layer: DrivenPopulation, found: np.ndarray) -> list[Cause]:
    """The rules under which a layer emits what the target did. layer: fed with the target's own spikes [T, B, ...]."""
    different = _emitted(layer) != found
    if not different.any():
        return []
    return [
        cause
        for cause, predicted in _predictions(layer, found)
        if np.ma.allequal(predicted, found) and not np.ma.getmaskarray(predicted)[different].all()
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _parameter_cause(key: str, wanted: np.ndarray, found: np.ndarray, fraction: int) -> Cause:
    node, _, field = key.rpartition(".")
    if wanted.shape != found.shape:
        return Cause(field, f"{node}: {field} has the shape {found.shape}; {wanted.shape} in the reference")
    if field == "bias" and not found.any():
        return Cause("dropped bias", f"{node}: every bias is 0; up to {_number(np.abs(wanted).max())} in the reference")
    if field in ("weight", "bias") and _same_rows(wanted, found):
        moved = np.flatnonzero((wanted != found).reshape(len(wanted), -1).any(1))
        return Cause("permuted channels", f"{node}: {len(moved)} output channels are permuted, the first is {moved[0]}")
    if field == "weight" and wanted.ndim == 4 and np.array_equal(found, wanted.swapaxes(2, 3)):
        return Cause("transposed maps", f"{node}: the kernels are transposed")
    different = np.argwhere(wanted != found)
    first = tuple(different[0])
    unit = fraction if field == "threshold" else 1
    values = f"{_number(found[first] / unit)}, {_number(wanted[first] / unit)} in the reference"
    where = f"{field}[{', '.join(str(int(i)) for i in first)}]"
    return Cause(field, f"{node}: {len(different):,} of {wanted.size:,} differ; {where} is {values}")


def _number(value: float) -> str:
    return f"{float(value):g}"


def _same_rows(wanted: np.ndarray, found: np.ndarray) -> bool:
    return len(wanted) > 1 and _rows(wanted, 0) == _rows(found, 0)


def _rows(values: np.ndarray, axis: int) -> list[bytes]:
    return sorted(np.ascontiguousarray(row).tobytes() for row in np.moveaxis(values, axis, 0))


def _predictions(layer: DrivenPopulation, found: np.ndarray) -> Iterator[tuple[Cause, np.ndarray]]:
    """Each rule with the spikes that it gives; masked where it cannot tell."""
    neuron, current, bias = layer.neuron, layer.current, layer.bias
    if neuron is not None:
        at_least = replace(neuron, threshold=neuron.threshold - 1)
        yield (
            Cause("comparison", "fires at membrane >= threshold; it must exceed the threshold"),
            fire(at_least, current, bias=bias),
        )
        kept = "the membrane is not cleared by a spike"
        yield Cause("missing reset", kept), fire(neuron, current, bias=bias, reset="none")
        less = "a spike takes the threshold from the membrane; it must clear it (hard reset)"
        yield Cause("soft reset", less), fire(neuron, current, bias=bias, reset="subtract")
        carried = "each sample starts with the membrane that the one before left"
        yield Cause("missing reset", carried), _carried_over(neuron, current, bias, found)
        joined = fire(neuron, current.reshape(-1, 1, *current.shape[2:]), bias=bias)
        leak = "time steps of all samples run as one sequence: charge passes from each sample of the batch to the next"
        yield Cause("batch leak", leak), joined.reshape(current.shape)
    if np.any(layer.bias):
        unbiased = replace(layer, bias=np.zeros_like(layer.bias))
        yield Cause("dropped bias", "no bias is added"), _emitted(unbiased)
    for sources in _branches(layer):
        names = " and ".join(sources)
        early, late = (f"{names} arrive{'s' * (len(sources) == 1)} one time step {when}" for when in ("early", "late"))
        yield Cause("delay", early), _emitted(_shifted(layer, sources, -1), hide=-1)
        yield Cause("delay", late), _emitted(_shifted(layer, sources, 1), hide=0)
    expected = _emitted(layer)
    if expected.ndim > 2 and _rows(expected, 2) == _rows(found.astype(expected.dtype), 2):
        moved = [c for c in range(found.shape[2]) if not np.array_equal(found[:, :, c], expected[:, :, c])]
        yield Cause("permuted channels", f"{len(moved)} channels are permuted, the first is {moved[0]}"), found
    if expected.ndim == 5 and expected.shape[3] == expected.shape[4]:
        turned = [c for c in range(found.shape[2]) if not np.array_equal(found[:, :, c], expected[:, :, c])]
        predicted = expected.copy()
        predicted[:, :, turned] = expected[:, :, turned].swapaxes(3, 4)
        channels = f"{turned[0]} .. {turned[-1]}" if len(turned) > 1 else str(turned[0])
        yield Cause("transposed maps", f"height and width are swapped in channels {channels}"), predicted


def fire(neuron: IntegerNeuron, current: np.ndarray, *, bias: np.ndarray | int = 0, reset: str = "zero") -> np.ndarray:
    """Spikes int8 [T, B, ...] of currents in units of the membrane, from rest, without checks of range.

    bias: what of the current passes a filter by, where the neuron has one (IntegerNeuron).
    reset, on a spike: "zero" clears the membrane, "subtract" takes the threshold from it, "none" leaves it.
    """
    state = neuron.rest(current.shape[1:])
    spikes = np.empty(current.shape, np.int8)
    for t, arriving in enumerate(current):
        neuron.charge(state, arriving - bias, bias)
        charged = state.membrane.copy() if reset != "zero" else state.membrane
        spikes[t] = fired = neuron.fire(state)
        if reset != "zero":
            state.membrane = charged - np.where(fired, neuron.threshold, 0) if reset == "subtract" else charged
    return spikes


def _emitted(layer: DrivenPopulation, hide: int | None = None) -> np.ndarray:
    """What a layer emits; hide: which time step of the stream of all samples is not known."""
    out = fire(layer.neuron, layer.current, bias=layer.bias) if layer.neuron else layer.sums()
    if hide is None:
        return out
    unknown = np.zeros(out.shape, bool)
    unknown[(hide, hide)] = True  # first step of the first sample, or last of the last
    return np.ma.array(out, mask=unknown)


def _carried_over(neuron: IntegerNeuron, current: np.ndarray, bias: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Spikes of samples back to back without a reset between them, a masked array.

    What a neuron held before the first sample is not known, so it is masked until its first spike cleared it.
    """
    stream, seen = _stream(current), _stream(found)
    known = np.zeros(stream.shape[1:], bool)
    state = neuron.rest(stream.shape[1:])
    spikes = np.ma.masked_all(stream.shape, np.int8)
    for step, arriving in enumerate(stream):
        neuron.charge(state, arriving - bias, bias)
        spikes[step] = np.ma.array(state.membrane > neuron.threshold, mask=~known)
        state.membrane[seen[step] != 0] = 0
        known |= seen[step] != 0
    return _unstream(spikes, current.shape)


def _branches(layer: DrivenPopulation) -> list[tuple[str, ...]]:
    """What may arrive together: each source, and the sums that a growing residual stream holds on its way."""
    sources = list(layer.terms)
    return [(source,) for source in sources] + [tuple(sources[:count]) for count in range(2, len(sources) + 1)]


def _shifted(layer: DrivenPopulation, sources: tuple[str, ...], steps: int) -> DrivenPopulation:
    """Sources early (-1) or late (1) in the stream of samples back to back; nothing comes before or after it."""
    moved = {}
    for source in sources:
        stream = np.roll(_stream(layer.terms[source]), steps, axis=0)
        stream[-1 if steps < 0 else 0] = 0
        moved[source] = _unstream(stream, layer.terms[source].shape)
    return replace(layer, terms=layer.terms | moved)


def _stream(values: np.ndarray) -> np.ndarray:
    """[T, B, ...] -> [B * T, ...], sample after sample."""
    return values.swapaxes(0, 1).reshape(-1, *values.shape[2:])


def _unstream(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return values.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1)
