"""The integers of a group of synapses and of the populations that they drive, at one scale.

1 of what a synapse gives is worth the group's scale times its share. Each synapse has an exponent of its own, so that
small weights beside large ones keep their levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hardware.chip import Chip
from hardware.errors import RangeError

from ..errors import ExportError
from ..network.cells import FixedCell, FloatCell, RecurrentCell
from ..network.certificate import LayerCertificate
from ..network.stream import Stream
from ..network.synapses import FixedSynapses, FloatSynapses
from .groups import Group, Groups, Sink
from .layer import COARSEST
from .meeting import cell_of

GROWS = 1.001  # the least by which a scale is coarsened at a time
ROUNDING = 1e-9  # a quotient that is an integer but for rounding must not fall to the one before


@dataclass(frozen=True)
class QuantizedGroup:
    """modules: of synapses and sinks, by name; streams: what synapses that read currents receive."""

    modules: dict[str, nn.Module]
    certificates: tuple[LayerCertificate, ...]
    streams: dict[str, Stream]
    rounded: dict[str, str]  # population -> a decay that the chip does not have

    @property
    def certified(self) -> bool:
        """Whether no input can take anything in it to a limit."""
        return all(certificate.certified for certificate in self.certificates)


@dataclass(frozen=True)
class GroupQuantizer:
    """streams: what each synapse of the group reads."""

    groups: Groups
    group: Group
    streams: Mapping[str, Stream]
    time_steps: int
    chip: Chip

    @torch.no_grad()
    def __call__(self) -> QuantizedGroup:
        """The integers at the finest scale that the chip's formats hold and the certificate allows.

        If only weights coarser than a fourth of the chip's levels could be certified, the group keeps its finest scale
        and its certificates say that it is not certified. Raises ExportError and RangeError.
        """
        weights = {name: self._synapse(name).weight * self.streams[name].scale for name in self.group.synapses}
        biases = self._biases()
        scale, least = self._scales(weights, biases)
        # An exponent of the weights makes thresholds and biases finer without making weights coarser.
        for exponent in range(self.chip.weight_exponent_range[1], 0, -1):
            finer = scale / (1 << exponent)
            if finer >= least and (quantized := self._at(finer, weights, biases)).certified:
                return quantized
        first = quantized = self._at(scale, weights, biases)
        while not quantized.certified:
            scale *= max(GROWS, *(c.largest_value / c.limit for c in quantized.certificates))
            levels = max(w.abs().max().item() / (scale * self.group.synapses[n]) for n, w in weights.items())
            if levels < self.chip.largest_weight // COARSEST:
                return first
            quantized = self._at(scale, weights, biases)
        return quantized

    def _synapse(self, name: str) -> FloatSynapses:
        return self.groups.synapses[name]

    def _sinks(self) -> list[Sink]:
        return [self.groups.sinks[name] for name in self.group.sinks]

    def _biases(self) -> dict[str, Tensor]:
        """The bias of each synapse, [rows], float64, with what drives the populations that read it.

        Loihi adds biases to the membrane: for a neuron with a current of its own they are what the current, filtered,
        comes to.
        """
        biases = {name: self._filtered_bias(name) for name in self.group.synapses}
        for sink in self._sinks():
            cell = cell_of(sink.module)
            if cell is None:
                continue
            if (cell.whole_gain <= 0).any():
                raise ExportError(f"{sink.name}: its gain is {cell.whole_gain.min():g}; it must be above 0")
            if cell.drive.any():
                drive = cell.drive / cell.whole_gain
                own = [term for term in sink.terms if len(self.groups.readers(term.synapse)) == 1]
                first = next((term for term in own if term.direct or (term.even and drive.ndim == 0)), None)
                if first is None:
                    raise ExportError(
                        f"{sink.name}: v_leak is not v_reset, and it has no synapse of its own whose bias could say so"
                    )
                here = self._rows(sink, first.synapse, drive) / (first.share * first.count)
                biases[first.synapse] = biases[first.synapse] + here
        return biases

    def _filtered_bias(self, name: str) -> Tensor:
        """The bias of a synapse as it comes to arrive where currents last longer than a step."""
        bias = self._synapse(name).bias.clone()
        (sink, term), *others = self.groups.readers(name)
        kept = _current_kept(sink)
        if not bias.any() or all(_current_kept(other) is None for other, _ in [(sink, term), *others]):
            return bias
        if kept is None or not all(_same(kept, _current_kept(other)) for other, _ in others):
            raise ExportError(
                f"{name}: its bias enters currents that decay differently; give each a synapse of its own"
            )
        if not all(reads.direct for _, reads in self.groups.readers(name)):
            waits = any(self.groups.arriving(reads, bias.sum()) is None for _, reads in self.groups.readers(name))
            if waits or kept.ndim:
                raise ExportError(f"{name}: its bias enters a filtered current through {', '.join(term.way)}; drop it")
        return bias / self._rows(sink, name, 1.0 - kept)

    def _rows(self, sink: Sink, synapse: str, values: Tensor) -> Tensor:
        """Values of a population as one for each row of a synapse's weights, or for all."""
        rows = self._synapse(synapse).by_row(values)
        if rows is None:
            raise ExportError(
                f"{sink.name}: its constants differ within a channel of {synapse}, which has one bias each"
            )
        return rows

    def _scales(self, weights: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> tuple[float, float]:
        """The scale at which the largest weight of the smallest synapse has all levels; and the least that fits."""
        chip, tiny = self.chip, torch.finfo(torch.float32).tiny
        largest = {n: w.abs().max().item() / self.group.synapses[n] for n, w in weights.items() if w.any()}
        coarsest_weight = chip.largest_weight << chip.weight_exponent_range[1]
        needed = [tiny, *(most / coarsest_weight for most in largest.values())]
        for sink in self._sinks():
            # A population has one exponent for what all biases before it add up to.
            added = [
                biases[t.synapse].abs().max().item() * t.count / self.group.synapses[t.synapse] for t in sink.terms
            ]
            alone = len(added) == 1 and sink.terms[0].count == 1
            needed.append(sum(added) / (chip.largest_bias if alone else chip.bias_mantissa_range[1] - len(added)))
            if (cell := cell_of(sink.module)) is not None and cell.threshold is not None:
                reached = (cell.threshold / cell.whole_gain).max().item() / self.group.sinks[sink.name]
                needed.append(reached / chip.threshold_range[1])
        least = max(needed)
        return max(min((most / chip.largest_weight for most in largest.values()), default=least), least), least

    def _at(self, scale: float, weights: Mapping[str, Tensor], biases: Mapping[str, Tensor]) -> QuantizedGroup:
        modules: dict[str, nn.Module] = {}
        ends: dict[str, tuple[int, int, int, int]] = {}  # least and largest sum, largest weight and bias
        plain = {
            term.synapse
            for sink in self._sinks()
            for term in sink.terms
            if (cell := cell_of(sink.module)) is None or cell.current_kept is None
        }
        for name, weight in weights.items():
            own, stream, synapse = scale * self.group.synapses[name], self.streams[name], self._synapse(name)
            fixed, bias = self._rounded_weight(weight, own), self._rounded_bias(biases[name], own)
            modules[name] = FixedSynapses(synapse.form, fixed, bias, name in plain, own, stream.scale)
            rows = synapse.form.rows(fixed)
            positive, negative = rows.clamp(min=0).sum(1), rows.clamp(max=0).sum(1)
            high = (positive * stream.high + negative * stream.low).max().item()
            low = (positive * stream.low + negative * stream.high).min().item()
            ends[name] = int(low), int(high), int(fixed.abs().max()), int(bias.abs().max())
        certificates, streams, rounded = [], {}, {}
        for sink in self._sinks():
            worth = scale * self.group.sinks[sink.name]
            low = sum(min(ends[t.synapse][0], 0) * t.count for t in sink.terms)
            high = sum(max(ends[t.synapse][1], 0) * t.count for t in sink.terms)
            bias_bound = sum(ends[t.synapse][3] * t.count for t in sink.terms)
            cell = cell_of(sink.module)
            threshold = membrane = None
            if cell is not None:
                fixed_cell = self._cell(sink, cell, worth, modules)
                threshold = None if fixed_cell.threshold is None else int(fixed_cell.threshold.max())
                membrane = _membrane_bound(fixed_cell, low - bias_bound, high + bias_bound, self.time_steps)
                modules[sink.name] = _with_ways(sink.module, fixed_cell, modules)
                if note := _rounded_decay(cell, fixed_cell):
                    rounded[sink.name] = note
            elif isinstance(sink.module, FloatSynapses):
                streams[sink.name] = Stream((sink.name,), worth, low - bias_bound, high + bias_bound)
            certificates.append(
                LayerCertificate(
                    name=" + ".join(dict.fromkeys(t.synapse for t in sink.terms)),
                    population=sink.name,
                    scale=worth,
                    largest_weight=max(ends[t.synapse][2] for t in sink.terms),
                    largest_bias=max(ends[t.synapse][3] for t in sink.terms),
                    threshold=threshold,
                    sum_bound=max(high, -low) + bias_bound,
                    membrane_bound=membrane,
                    limit=self.chip.message_limit if cell is None else self.chip.sum_limit,
                )
            )
        return QuantizedGroup(modules, tuple(certificates), streams, rounded)

    def _rounded_weight(self, weight: Tensor, scale: float) -> Tensor:
        largest = self.chip.largest_weight
        over = weight.abs().max().item() / scale / (largest + 0.499)
        step = float(1 << max(0, math.ceil(math.log2(over)))) if over > 1 else 1.0
        return (weight / scale / step).round().clamp(-largest, largest) * step

    def _rounded_bias(self, bias: Tensor, scale: float) -> Tensor:
        chip = self.chip
        step = chip.coarsest_bias_step if bias.abs().max().item() / scale > chip.bias_mantissa_range[1] else 1
        return ((bias / scale / step).round() * step).clamp(-chip.largest_bias, chip.largest_bias)

    def _cell(self, sink: Sink, cell: FloatCell, worth: float, modules: Mapping[str, nn.Module]) -> FixedCell:
        bias = torch.zeros((), dtype=torch.int64)
        if cell.current_kept is not None:
            for term in sink.terms:
                synapse = modules[term.synapse]
                assert isinstance(synapse, FixedSynapses)
                if synapse.bias.any():
                    arriving = self.groups.arriving(term, synapse.form.bias(synapse.bias))
                    assert arriving is not None
                    bias = bias + arriving.to(torch.int64)
        return fixed_cell(sink.name, cell, worth, bias, self.chip)


def _current_kept(sink: Sink) -> Tensor | None:
    """What a step leaves of a population's own current."""
    cell = cell_of(sink.module)
    return None if cell is None else cell.current_kept


def _same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and bool((one == other).all())


def fixed_cell(name: str, cell: FloatCell, worth: float, bias: Tensor, chip: Chip) -> FixedCell:
    """The chip's neuron of a float one whose inputs are integers, each worth `worth`. Raises RangeError.

    threshold = floor(v_threshold / (gain * worth)): NIR and the chip both compare with >. Where none is, none.
    """
    threshold = None
    if cell.threshold is not None:
        threshold = torch.floor(cell.threshold / (cell.whole_gain * worth) + ROUNDING)
        low, high = chip.threshold_range
        if threshold.min() < low or threshold.max() > high:
            worst = threshold.max() if threshold.max() > high else threshold.min()
            raise RangeError(
                f"{name}: threshold {worst:.0f} is outside {low} .. {high} at the scale of its synapses; "
                "the largest of them is out of all proportion: use smaller ones"
            )
    kept = torch.zeros((), dtype=torch.float64) if cell.current_kept is None else cell.current_kept
    decays = [((1.0 - kept) * chip.decay_unity).round() for kept in (cell.kept, kept)]
    return FixedCell(name, decays[0], threshold, decays[1], bias, chip, worth)


def _with_ways(module: nn.Module, cell: FixedCell, modules: Mapping[str, nn.Module]) -> nn.Module:
    if not isinstance(module, RecurrentCell):
        return cell
    ways = []
    for names, way in zip(module.names, module.ways, strict=True):
        ways.append({name: modules.get(name, old) for name, old in zip(names, way, strict=True)})  # type: ignore[call-overload]
    return RecurrentCell(cell, ways)


def _membrane_bound(cell: FixedCell, low: int, high: int, time_steps: int) -> int:
    """Bound on current and |membrane|: from above by a membrane that just did not fire, or else by time_steps.

    Of one that never fires, and from below, by what time_steps can add up.
    """
    unity = cell.chip.decay_unity
    kept, current_kept = (1.0 - float(decay.min()) / unity for decay in (cell.decay, cell.current_decay))
    lasting = sum(current_kept**t for t in range(time_steps))
    low, high = math.floor(low * lasting), math.ceil(high * lasting)
    lowest = highest = 0.0
    for _ in range(time_steps):
        lowest, highest = min(0.0, lowest * kept + low), max(0.0, highest * kept + high)
    if cell.threshold is not None:
        highest = float(cell.threshold.max()) * kept + high
    return math.ceil(max(highest, -lowest, high, -low))


def _rounded_decay(cell: FloatCell, fixed: FixedCell) -> str | None:
    """What is said of decays that the chip's bits cannot hold."""
    unity, notes = fixed.chip.decay_unity, []
    pairs = [("decay", cell.kept, fixed.decay)]
    if cell.current_kept is not None:
        pairs.append(("decay of the current", cell.current_kept, fixed.current_decay))
    for what, kept, held in pairs:
        wanted = (1.0 - kept) * unity
        off = (wanted - held).abs()
        if off.max() > 1e-3:
            worst = off.reshape(-1).argmax()
            share, number = (values.expand(off.shape).reshape(-1)[worst].item() for values in (wanted, held))
            notes.append(f"{what} {share / unity:.6g} is held as {number:.0f}/{unity}")
    return "; ".join(notes) or None
