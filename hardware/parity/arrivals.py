"""The inputs that reached one neuron: each spike, and the weight with which it counted.

The weights of a path of linear nodes are found backward: one at the neuron, then through each node transposed.
"""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ..graph.fused import Fused
from ..graph.layers import Layers
from ..graph.linear import apply_linear
from ..graph.shapes import conv_geometry, pair
from .explanation import Arrival


def arrivals(
    layers: Layers, name: str, neuron: tuple[int, ...], values: Mapping[str, np.ndarray], time_step: int, sample: int
) -> list[Arrival] | None:
    """What reached a neuron at one time step, the largest contribution first. values: [T, B, ...] by population.

    None behind a fused operation, which has no weights.
    """
    weights = weights_of(layers, name, neuron)
    if weights is None:
        return None
    found = []
    for source, weight in weights.items():
        value = values[source][time_step, sample]
        for where in np.argwhere((value != 0) & (weight != 0)):
            index = tuple(int(i) for i in where)
            found.append(Arrival(source, index, int(value[index]), float(weight[index])))
    return sorted(found, key=lambda a: (-abs(a.value * a.weight), a.source, a.neuron))


def weights_of(layers: Layers, name: str, neuron: tuple[int, ...]) -> dict[str, np.ndarray] | None:
    """What 1 at each place of each source adds to the current of a neuron: source -> [C, H, W] or [features]."""
    flat = layers.flat
    start = np.zeros(flat.shapes[name])
    start[neuron] = 1
    weights: dict[str, np.ndarray] = {}

    def pass_on(node_name: str, gradient: np.ndarray) -> None:
        for source in flat.sources[node_name]:
            weights[source] = weights.get(source, 0) + gradient

    pass_on(name, start)
    for node_name in reversed(layers.path(name)):
        node = flat.nodes[node_name]
        if isinstance(node, Fused):
            return None
        pass_on(node_name, _transposed(node, weights.pop(node_name), flat.shapes[flat.sources[node_name][0]]))
    return weights


def _transposed(node: nir.NIRNode, gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The transpose of a linear node applied to a gradient of its output; shape: that of its input."""
    if isinstance(node, nir.Flatten):
        return gradient.reshape(shape)
    if isinstance(node, (nir.Linear, nir.Affine)):
        return gradient @ node.weight.astype(np.float64)
    if isinstance(node, nir.Scale):
        return apply_linear(node, gradient)
    if isinstance(node, nir.Conv2d):
        stride, padding, dilation = conv_geometry(node)
        groups, kernel = int(node.groups), node.weight.shape[2:]
        weight = node.weight.reshape(groups, -1, *node.weight.shape[1:]).astype(np.float64)
        split = gradient.reshape(groups, -1, *gradient.shape[1:])

        def tap(i: int, j: int) -> np.ndarray:
            return np.einsum("goc,gohw->gchw", weight[..., i, j], split).reshape(shape[0], *gradient.shape[1:])

    else:
        kernel, stride, padding, dilation = pair(node.kernel_size), pair(node.stride), pair(node.padding), (1, 1)
        share = gradient / (kernel[0] * kernel[1] if isinstance(node, nir.AvgPool2d) else 1)

        def tap(i: int, j: int) -> np.ndarray:
            return share

    height, width = shape[1:]
    padded = np.zeros((shape[0], height + 2 * padding[0], width + 2 * padding[1]))
    rows, columns = gradient.shape[1:]
    for i, j in np.ndindex(*kernel):
        down = slice(i * dilation[0], i * dilation[0] + stride[0] * (rows - 1) + 1, stride[0])
        across = slice(j * dilation[1], j * dilation[1] + stride[1] * (columns - 1) + 1, stride[1])
        padded[:, down, across] += tap(i, j)
    return padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width]
