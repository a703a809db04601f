"""The interpreter once more, by NIR's equations: one number at a time, in Python's exact fractions.

Shares no code with hardware/. Slow, and short enough to be checked by reading.
"""

import math
from fractions import Fraction
from itertools import product

import nir
import numpy as np

TIME_STEP = 1e-4


def interpret(graph: nir.NIRGraph, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes of every neuron and sums at every Output: name -> [T, B, ...]."""
    samples = [_run(graph, list(inputs[:, sample].astype(object))) for sample in range(inputs.shape[1])]
    return {
        name: np.stack([np.array(sample[name]) for sample in samples], axis=1).astype(np.int64) for name in samples[0]
    }


def _run(graph, inputs, prefix=""):
    """One sample; inputs: one array a time step. Returns name -> one array a time step."""
    recorded, known = {}, {}

    def value(name):
        if name not in known:
            known[name] = evaluate(name, graph.nodes[name])
        return known[name]

    def evaluate(name, node):
        if isinstance(node, nir.Input):
            return inputs
        arriving = [value(source) for source, target in graph.edges if target == name]
        total = [sum(terms) for terms in zip(*arriving, strict=True)]
        if isinstance(node, nir.NIRGraph):
            inner = _run(node, total, f"{prefix}{name}.")
            (exit_name,) = (key for key, n in node.nodes.items() if isinstance(n, nir.Output))
            result = inner.pop(f"{prefix}{name}.{exit_name}")
            recorded.update(inner)
            return result
        if isinstance(node, nir.Output):
            recorded[prefix + name] = total
            return total
        if isinstance(node, (nir.LIF, nir.IF, nir.Threshold)):
            recorded[prefix + name] = _spikes(node, total)
            return recorded[prefix + name]
        return [LINEAR[type(node)](node, x) for x in total]

    for name in graph.nodes:
        value(name)
    return recorded


def _spikes(node, currents):
    spikes = [np.zeros(current.shape, object) for current in currents]
    for neuron in np.ndindex(currents[0].shape):
        if isinstance(node, nir.Threshold):
            kept, threshold = Fraction(0), node.threshold[neuron]
        elif isinstance(node, nir.IF):
            kept, threshold = Fraction(1), node.v_threshold[neuron]
        else:
            decay = round(4096 * TIME_STEP / float(node.tau[neuron]))
            kept, threshold = 1 - Fraction(decay, 4096), node.v_threshold[neuron]
        v = Fraction(0)
        for t, current in enumerate(currents):
            v = Fraction(math.trunc(64 * kept * v), 64) + current[neuron]  # the membrane has 6 bits of fraction
            if v > Fraction(float(threshold)):
                spikes[t][neuron] = 1
                v = Fraction(0)
    return spikes


def _conv(node, x):
    outputs, group_inputs, height, width = node.weight.shape
    stride, dilation = _pair(node.stride), _pair(node.dilation)
    if node.padding == "valid":
        padding = (0, 0)
    elif node.padding == "same":
        padding = (dilation[0] * (height - 1) // 2, dilation[1] * (width - 1) // 2)
    else:
        padding = _pair(node.padding)
    group_outputs = outputs // node.groups
    result = np.empty((outputs, *_size(x, (height, width), stride, padding, dilation)), object)
    for output, row, column in np.ndindex(result.shape):
        first_input = output // group_outputs * group_inputs
        total = int(node.bias[output])
        for channel, i, j in product(range(group_inputs), range(height), range(width)):
            y = row * stride[0] - padding[0] + i * dilation[0]
            z = column * stride[1] - padding[1] + j * dilation[1]
            total += int(node.weight[output, channel, i, j]) * _at(x, first_input + channel, y, z)
        result[output, row, column] = total
    return result


def _sum_pool(node, x):
    kernel, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    result = np.empty((len(x), *_size(x, kernel, stride, padding, (1, 1))), object)
    for channel, row, column in np.ndindex(result.shape):
        top, left = row * stride[0] - padding[0], column * stride[1] - padding[1]
        result[channel, row, column] = sum(
            _at(x, channel, top + i, left + j) for i in range(kernel[0]) for j in range(kernel[1])
        )
    return result


def _avg_pool(node, x):
    height, width = _pair(node.kernel_size)
    return _sum_pool(node, x) * Fraction(1, height * width)


def _linear(node, x):
    return np.array([sum(int(w) * v for w, v in zip(row, x, strict=True)) for row in node.weight], object)


def _affine(node, x):
    return _linear(node, x) + [int(b) for b in node.bias]


def _scale(node, x):
    return x * node.scale.astype(int).astype(object)


def _flatten(node, x):
    end = x.ndim if node.end_dim == -1 else node.end_dim + 1
    return x.reshape(*x.shape[: node.start_dim], -1, *x.shape[end:])


LINEAR = {
    nir.Conv2d: _conv,
    nir.SumPool2d: _sum_pool,
    nir.AvgPool2d: _avg_pool,
    nir.Linear: _linear,
    nir.Affine: _affine,
    nir.Scale: _scale,
    nir.Flatten: _flatten,
}


def _at(x, channel, row, column):
    inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
    return x[channel, row, column] if inside else 0


def _size(x, kernel, stride, padding, dilation):
    return [
        (x.shape[1 + axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis in (0, 1)
    ]


def _pair(value):
    first, *rest = np.atleast_1d(value).tolist()
    return (first, rest[0] if rest else first)
