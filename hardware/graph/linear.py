"""The linear NIR nodes, and the fused ones, in NumPy: slow enough to be obvious, exact on whole numbers.

Sums run in float64 matrix products. Every product and partial sum here is a multiple of 1/64 far below 2^46,
so no order of summation can round it.
"""

from __future__ import annotations

import nir
import numpy as np

from .flatten import LINEAR, FlatGraph
from .fused import Fused
from .shapes import GraphError, conv_geometry, pair


def apply_linear(node: nir.NIRNode, x: np.ndarray) -> np.ndarray:
    """Output of a linear or fused node or Flatten, without its bias.

    x: [N, C, H, W] or [N, features], whole numbers in float64. Returns [N, ...] in float64.
    """
    if isinstance(node, nir.Conv2d):
        stride, padding, dilation = conv_geometry(node)
        return convolve(x, node.weight, stride, padding, dilation, int(node.groups))
    if isinstance(node, (nir.SumPool2d, nir.AvgPool2d)):
        kernel = pair(node.kernel_size)
        total = sum_windows(x, kernel, pair(node.stride), pair(node.padding))
        return total / (kernel[0] * kernel[1]) if isinstance(node, nir.AvgPool2d) else total
    if isinstance(node, (nir.Linear, nir.Affine)):
        return x @ node.weight.T.astype(np.float64)
    if isinstance(node, nir.Scale):
        return x * node.scale.astype(np.float64)
    if isinstance(node, nir.Flatten):
        start = int(node.start_dim) + 1  # NIR does not count the batch
        end = int(node.end_dim) % (x.ndim - 1) + 1
        return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
    if isinstance(node, Fused):
        return node.apply(x)
    raise TypeError(f"{type(node).__name__} is not linear")


def bias_of(node: nir.NIRNode) -> np.ndarray | float:
    """The bias of a linear node, shaped to be added to its output without the batch."""
    if isinstance(node, nir.Conv2d):
        return np.asarray(node.bias, dtype=np.float64).reshape(-1, 1, 1)
    if isinstance(node, nir.Affine):
        return np.asarray(node.bias, dtype=np.float64)
    return 0.0


def constants(graph: FlatGraph) -> dict[str, np.ndarray]:
    """What each node's input sum holds when no spike arrives: biases, passed through linear nodes.

    Returns name -> [C, H, W] or [features] for every node but the Input. On Loihi this is the neuron's bias.
    """
    result: dict[str, np.ndarray] = {}
    passed_on: dict[str, np.ndarray] = {}
    for name, node in graph.nodes.items():
        if not graph.sources[name]:
            passed_on[name] = np.zeros(graph.shapes[name])
            continue
        result[name] = sum(passed_on[source] for source in graph.sources[name])
        if isinstance(node, Fused):
            try:
                passed_on[name] = node.at_rest(result[name])
            except ValueError as error:
                raise GraphError(f"node '{name}': {error}") from error
        elif isinstance(node, (*LINEAR, nir.Flatten)):
            passed_on[name] = apply_linear(node, result[name][None])[0] + bias_of(node)
        else:
            passed_on[name] = np.zeros(graph.shapes[name])
    return result


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> np.ndarray:
    """Cross-correlation as in PyTorch: one matrix product for every position in the kernel.

    x: [N, C_in, H, W]; weight: [C_out, C_in / groups, height, width]. Returns [N, C_out, H', W'].
    """
    outputs, _, *kernel = weight.shape
    rows, columns, windows = _windows(x, tuple(kernel), stride, padding, dilation)
    count, channels = x.shape[:2]
    result = np.zeros((count, groups, outputs // groups, rows * columns))
    kernels = weight.astype(np.float64).reshape(groups, outputs // groups, channels // groups, *kernel)
    for (i, j), window in windows:
        window = window.reshape(count, groups, channels // groups, rows * columns)
        result += kernels[..., i, j] @ window
    return result.reshape(count, outputs, rows, columns)


def sum_windows(
    x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> np.ndarray:
    """Sum over each window of [N, C, H, W]; padding counts as zero. First along the height, then the width."""
    for axis in (0, 1):
        size, step, pad = [
            tuple(value[a] if a == axis else neutral for a in (0, 1))
            for value, neutral in ((kernel, 1), (stride, 1), (padding, 0))
        ]
        _, _, windows = _windows(x, size, step, pad, (1, 1))
        x = sum(window for _, window in windows)
    return x


def _windows(x, kernel, stride, padding, dilation):
    """Rows, columns and, for every position in the kernel, what each output position sees there."""
    rows, columns = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], padding, dilation, kernel, stride, strict=True)
    )
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    windows = (
        ((i, j), padded[:, :, top :: stride[0], left :: stride[1]][:, :, :rows, :columns])
        for i in range(kernel[0])
        for j in range(kernel[1])
        for top, left in [(i * dilation[0], j * dilation[1])]
    )
    return rows, columns, windows
