"""Neurons of any kind, step by step: with currents that last, membranes that are read, and spikes that come back.

    current <- toward_zero(current * kept_current) + sum        (where none lasts: sum)
    membrane <- toward_zero(membrane * kept) + current + bias
    spike iff membrane > threshold (strict), then 0; one that never fires gives its membrane

In float64, in the chip's units, where each number is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...graph.neuron import IntegerNeuron
from ...graph.windows import Shape
from .arithmetic import cast, per_neuron, require, require_multiples
from .builder import OnnxBuilder, Port
from .value import FLOAT64, INT32, UINT8, DType, Value

BOOL: DType = np.dtype(bool)
Arrive = Callable[[Sequence[Value], Value], Value]  # what is taken at a step, and the spikes of the last -> the sum


@dataclass(frozen=True)
class SteppedNeuron:
    """A population and what it hears. bias: what arrives without any spike, [*shape]; hears: its own last spikes."""

    builder: OnnxBuilder
    neuron: IntegerNeuron
    bias: np.ndarray
    shape: Shape
    hears: bool = False

    def run(self, takes: Sequence[tuple[Value, Shape]], arrive: Arrive = lambda taken, _: taken[0]) -> Value:
        """Spikes, uint8 [T, B, ...], or membranes, int32, of what is taken, [T, B, ...] of a node's shape each."""
        builder, values = self.builder, [value for value, _ in takes]
        dims = _dims(self.shape)
        kinds = {"membrane": FLOAT64}
        if self.neuron.keeps_current:
            kinds["current"] = FLOAT64
        if self.hears:
            kinds["spikes"] = UINT8
        states: list[Port] = [(kind, dims) for kind in kinds.values()]
        given = UINT8 if self.neuron.fires else INT32

        def body(*names: str) -> Sequence[str]:
            held = dict(zip(kinds, names, strict=False))
            taken = [
                replace(value, tensor=builder.op("Unsqueeze", name, builder.constant([0], np.int64)))
                for value, name in zip(values, names[len(kinds) :], strict=True)
            ]
            return self._step(held, taken, arrive)

        taken_ports: list[Port] = [(value.dtype, _dims(shape)) for value, shape in takes]
        graph = builder.subgraph([*states, *taken_ports], [*states, (given, dims), (BOOL, [])], body)
        batch = builder.op("Shape", values[0].tensor, start=1, end=2)
        size = builder.op("Concat", batch, builder.constant(dims[1:], np.int64), axis=0)
        rest = [builder.op("ConstantOfShape", size, value=builder.zero(kind)) for kind in kinds.values()]
        inputs = [*rest, *(value.tensor for value in values)]
        *_, result, always = builder.ops("Scan", *inputs, count=len(kinds) + 2, num_scan_inputs=len(takes), body=graph)
        smallest = builder.op("ReduceMin", cast(builder, always, INT32), keepdims=0)
        builder.checks.append(cast(builder, smallest, BOOL))
        most = float(self.neuron.chip.sum_limit * self.neuron.chip.fraction)
        return Value(result, UINT8, 0.0, 1.0) if self.neuron.fires else Value(result, INT32, -most, most)

    def _step(self, held: dict[str, str], taken: Sequence[Value], arrive: Arrive) -> Sequence[str]:
        """The next states, what is given, and whether every number kept to the chip's formats."""
        builder, neuron, chip = self.builder, self.neuron, self.neuron.chip
        outer, builder.checks = builder.checks, []
        first = builder.constant([0], np.int64)
        spikes = Value(builder.op("Unsqueeze", held["spikes"], first), UINT8, 0.0, 1.0) if self.hears else taken[0]
        total = require_multiples(builder, arrive(taken, spikes), chip.fraction_bits)
        limit = chip.sum_limit - 1 / chip.fraction
        require(builder, total, -limit, limit, np.zeros(1), (1,))
        current = builder.op("Squeeze", cast(builder, total.tensor, FLOAT64), first)
        current = builder.op("Mul", current, builder.constant(chip.fraction, FLOAT64))
        states = []
        if "current" in held and neuron.current_decay is not None:
            current = builder.op("Add", self._left(held["current"], neuron.current_decay), current)
            states.append(current)
        driven = builder.op(
            "Add", current, builder.constant(per_neuron(self.bias * chip.fraction, self.shape), FLOAT64)
        )
        membrane = builder.op("Add", self._left(held["membrane"], neuron.decay), driven)
        checks = [*builder.checks, *(self._below_limit(values) for values in (*states, membrane))]
        builder.checks = outer
        good = checks[0]
        for other in checks[1:]:
            good = builder.op("And", good, other)
        if not neuron.fires:
            return [membrane, *states, cast(builder, membrane, INT32), good]
        fired = builder.op("Greater", membrane, builder.constant(per_neuron(neuron.threshold, self.shape), FLOAT64))
        left = builder.op("Mul", membrane, cast(builder, builder.op("Not", fired), FLOAT64))
        emitted = cast(builder, fired, UINT8)
        again = [builder.op("Identity", emitted)] if self.hears else []
        return [left, *states, *again, emitted, good]

    def _left(self, values: str, decay: np.ndarray) -> str:
        """What a step leaves; a cast to an integer rounds toward zero."""
        share = self.builder.constant(per_neuron(1 - decay / self.neuron.chip.decay_unity, self.shape), FLOAT64)
        whole = cast(self.builder, self.builder.op("Mul", values, share), np.dtype(np.int64))
        return cast(self.builder, whole, FLOAT64)

    def _below_limit(self, values: str) -> str:
        limit = self.builder.constant(self.neuron.chip.sum_limit * self.neuron.chip.fraction, FLOAT64)
        worst = self.builder.op("ReduceMax", self.builder.op("Abs", values), keepdims=0)
        return self.builder.op("Less", worst, limit)


def _dims(shape: Shape) -> list[int | str]:
    """Of a node's value at one time step: maps have their channels last."""
    return ["batch", *((*shape[1:], *shape[:1]) if len(shape) == 3 else shape)]
