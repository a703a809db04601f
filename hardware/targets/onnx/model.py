"""NIR graph -> ONNX model in integers: uint8 spikes, int8 weights, int32 sums, standard operators only.

Everything without memory runs over all time steps at once; a neuron is a Scan over them. Batch and number of time steps
are the caller's. What the interpreter checks as it runs is excluded by bounds where they suffice; where they do not,
the model has one output more, `within_limits`, which is true if every number kept to the chip's formats.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ...chip import LOIHI_2
from ...chip.chip import Chip
from ...errors import GraphError, InputError, TargetError
from ...files import write_atomically
from ...graph.encoding import Encoding, encoding_of
from ...graph.flat import FlatGraph, at_rest
from ...graph.flatten import flatten
from ...graph.neuron import TIME_STEP
from ...graph.nodes import Delaying, Memoryless, kind_of
from ...graph.nodes.kind import Interval
from ...graph.numbers import check_numbers, integer_neuron
from ...graph.windows import Shape
from .arithmetic import add, add_constant, converted, require, require_multiples
from .builder import OnnxBuilder
from .delays import delay
from .neurons import fire
from .recurrence import fire_hearing_itself, ways_back
from .synapses import pass_on
from .value import FLOAT64, INT8, INT32, UINT8, DType, Value, first_that_holds

OPSET, IR_VERSION = 17, 8  # of onnx 1.12 and later
LOGITS, WITHIN_LIMITS = "logits", "within_limits"
INPUTS = (-128.0, 127.0)  # int8


def to_onnx(
    graph: nir.NIRGraph,
    *,
    populations: bool = True,
    chip: Chip = LOIHI_2,
    fused: bool = True,
    inputs: Interval = INPUTS,
) -> Any:
    """An onnx.ModelProto that gives exactly the interpreter's spikes.

    Its input has the name of the graph's Input: integers [T, B, *input shape] within `inputs`, of type int8 where that
    holds them, else uint8 or int32; T and B are free. Its outputs, by node name: the sums of every Output node, int32
    [T, B, ...], and with `populations` the spikes of every population, uint8 [T, B, ...]. If the graph says how it is
    read: "logits", float64 [B, classes], and metadata_props that say how to encode images (`Encoding`'s fields). If
    bounds do not exclude a number outside the chip's formats: "within_limits", bool. Where a node of the graph is
    called so, a _ is added to these two.
    chip: whose number formats hold. fused: run marked nested graphs as one operation, or their gates.

    Raises GraphError and RangeError for a graph that cannot be run, InputError for bounds without 0.
    """
    return model_of(checked(graph, chip=chip, fused=fused), graph, populations=populations, inputs=inputs)


def write_onnx(graph: nir.NIRGraph, path: str | Path, **options: Any) -> None:
    """Write what `to_onnx` gives, with its options, whole or not at all.

    Raises TargetError, and leaves the old file, if ONNX Runtime does not take what was written.
    """
    data = to_onnx(graph, **options).SerializeToString()

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)
        _check_readable(path, temporary)

    write_atomically(path, write)


def _check_readable(path: str | Path, written: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is only looked at
    options.log_severity_level = 4  # none: the exception tells
    try:
        onnxruntime.InferenceSession(str(written), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds
        raise TargetError(f"{path}: ONNX Runtime does not take the model", str(error)) from error


def checked(graph: nir.NIRGraph, *, chip: Chip = LOIHI_2, fused: bool = True) -> FlatGraph:
    """The graph flattened, with every neuron and bias in the chip's formats. Raises GraphError and RangeError."""
    flat = flatten(graph, fused=fused, chip=chip)
    check_numbers(flat)
    return flat


def model_of(flat: FlatGraph, graph: nir.NIRGraph, *, populations: bool, inputs: Interval, logits: bool = True) -> Any:
    """What `to_onnx` gives for a graph that is checked; logits: whether it gives class scores, too."""
    import onnx

    if not inputs[0] <= 0 <= inputs[1]:
        raise InputError(f"inputs within {inputs[0]:g} .. {inputs[1]:g} exclude 0, which padding is; give wider bounds")
    encoding = _encoding(graph)
    converter = _Converter(flat, populations)
    converter.run(inputs)
    builder = converter.builder
    if logits and encoding and len(flat.outputs) == 1:
        converter.add_logits(flat.outputs[0], encoding)
    if builder.checks:
        converter.add_checks()
    proto = onnx.helper.make_graph(builder.nodes, "network", converter.takes, converter.gives, builder.constants)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="qkformer")
    if encoding:
        onnx.helper.set_model_props(model, _metadata(encoding, flat.input_name))
    return model


class _Converter:
    """Node by node, as the interpreter. takes, gives: what the model declares as its inputs and outputs."""

    def __init__(self, flat: FlatGraph, populations: bool):
        self.flat, self.populations = flat, populations
        self.logits, self.within_limits = added_outputs(flat)
        self.builder = OnnxBuilder(flat.input_name, taken={*flat.nodes, self.logits, self.within_limits})
        self.resting = at_rest(flat)
        self.takes: list[Any] = []
        self.gives: list[Any] = []

    def run(self, inputs: Interval) -> None:
        """Add all nodes."""
        flat, values = self.flat, {}
        ways = ways_back(flat)
        inside = {node for way in ways.values() for node in way}
        for name, node in flat.nodes.items():
            if name in inside:
                continue
            shape = flat.shapes[name]
            if not flat.sources[name]:
                values[name] = self._enter(name, shape, inputs)
                continue
            if name in ways:
                values[name] = fire_hearing_itself(self.builder, flat, name, ways[name], values, self.resting)
            else:
                total = add(self.builder, [values[source] for source in flat.sources[name]])
                values[name] = self._given(name, node, total, shape)
            if flat.is_population(name) and self.populations and name not in flat.internal:
                self._show(name, values[name].tensor, UINT8, shape)

    def _given(self, name: str, node: Any, total: Value, shape: Shape) -> Value:
        """What a node gives for the sum that arrives."""
        flat, kind = self.flat, kind_of(node)
        if isinstance(kind, Memoryless):
            return pass_on(self.builder, flat, name, total, self.resting[name])
        if isinstance(kind, Delaying):
            return delay(self.builder, total, kind.steps(node, TIME_STEP), shape, flat.chip)
        if flat.is_population(name) or flat.is_readout(name):
            total = require_multiples(self.builder, total, flat.chip.fraction_bits)
            return fire(self.builder, total, integer_neuron(flat, name), self.resting[name], shape)
        return self._leave(name, total, shape)

    def add_logits(self, output: str, encoding: Encoding) -> None:
        """Class scores: the output's sums over time, scaled."""
        axis = self.builder.constant([0], np.int64)
        total = self.builder.op("ReduceSum", output, axis, keepdims=0)
        scores = self.builder.op("Cast", total, to=self.builder.type_of(FLOAT64))
        scores = self.builder.op("Mul", scores, self.builder.constant(encoding.logit_scale, np.float64))
        self._give(self.logits, scores, FLOAT64, ["batch", *self.flat.shapes[output]])

    def add_checks(self) -> None:
        """Whether all checks hold."""
        first, *others = self.builder.checks
        for other in others:
            first = self.builder.op("And", first, other)
        self._give(self.within_limits, first, np.dtype(bool), [])

    def _enter(self, name: str, shape: Shape, inputs: Interval) -> Value:
        dtype = first_that_holds([INT8, UINT8, INT32], *inputs)
        self.takes.append(self.builder.info(name, (dtype, ["time_steps", "batch", *shape])))
        tensor = self.builder.op("Transpose", name, perm=[0, 1, 3, 4, 2]) if len(shape) == 3 else name
        return Value(tensor, dtype, *inputs)

    def _leave(self, name: str, total: Value, shape: Shape) -> Value:
        """The sum at an Output, with what biases add."""
        bias, limits = self.resting[name], np.iinfo(np.int32)
        total = require_multiples(self.builder, total, 0)
        require(self.builder, total, limits.min, limits.max, bias, shape)
        total = converted(self.builder, add_constant(self.builder, total, bias, shape), INT32)
        self._show(name, total.tensor, INT32, shape)
        return total

    def _show(self, name: str, tensor: str, dtype: DType, shape: Shape) -> None:
        if len(shape) == 3:
            tensor = self.builder.op("Transpose", tensor, perm=[0, 1, 4, 2, 3])
        self._give(name, tensor, dtype, ["time_steps", "batch", *shape])

    def _give(self, name: str, tensor: str, dtype: DType, dims: list[Any]) -> None:
        self.builder.name(tensor, name)
        self.gives.append(self.builder.info(name, (dtype, dims)))


def added_outputs(flat: FlatGraph) -> tuple[str, str]:
    """What the outputs that the model adds are called: "logits" and "within_limits", or, of a node's name, with a _."""
    names = []
    for name in (LOGITS, WITHIN_LIMITS):
        while name in flat.nodes:
            name += "_"
        names.append(name)
    return names[0], names[1]


def _encoding(graph: nir.NIRGraph) -> Encoding | None:
    try:
        return encoding_of(graph)
    except GraphError:
        return None


def _metadata(encoding: Encoding, input_name: str) -> dict[str, str]:
    """How to encode images, and what the logits are, as text."""
    shown = "event counts [B, T, C, H, W]" if encoding.events else "images [B, C, H, W], alike at every time step"
    return {
        **{field: str(value) for field, value in asdict(encoding).items()},
        "input_shape": " ".join(map(str, encoding.input_shape)),
        "events": str(int(encoding.events)),
        "encode": f"{input_name} = int8(clip(round(x / input_scale), -127, 127)), [T, B, C, H, W]; x: {shown}",
        "read": "logits = logit_scale * sum over T of the output; the class is the largest",
    }
