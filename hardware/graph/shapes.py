"""Shapes of the values that nodes read and give, [C, H, W] or [features], and the geometry of their windows."""

from __future__ import annotations

import nir
import numpy as np

from ..errors import GraphError
from .fused import Fused

NEURONS = (nir.LIF, nir.IF, nir.Threshold)


def pair(value) -> tuple[int, int]:
    """(height, width) from NIR's scalar, array or tuple."""
    values = np.broadcast_to(np.asarray(value, dtype=np.int64).reshape(-1), (2,))
    return int(values[0]), int(values[1])


def conv_geometry(node: nir.Conv2d) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(stride, padding, dilation) of a Conv2d as (height, width) pairs; padding 'same' and 'valid' resolved."""
    stride, dilation = pair(node.stride), pair(node.dilation)
    if not isinstance(node.padding, (str, bytes)):
        return stride, pair(node.padding), dilation
    if str(node.padding) == "valid":
        return stride, (0, 0), dilation
    spans = [d * (k - 1) for d, k in zip(dilation, node.weight.shape[2:], strict=True)]
    if any(span % 2 for span in spans) or stride != (1, 1):
        raise GraphError("a Conv2d with padding 'same' needs an odd kernel and stride 1; give the padding in numbers")
    return stride, (spans[0] // 2, spans[1] // 2), dilation


def output_shape(name: str, node: nir.NIRNode, sources: list[tuple[str, tuple[int, ...]]]) -> tuple[int, ...]:
    """The shape a node gives, from its sources and theirs. Raises GraphError if they do not fit."""
    if isinstance(node, nir.Input):
        return tuple(int(n) for n in np.asarray(node.input_type["input"]).reshape(-1))
    if not sources:
        raise GraphError(f"node '{name}' has no input edge")
    bias = getattr(node, "bias", None)
    if bias is not None and np.shape(bias) != node.weight.shape[:1]:
        outputs = len(node.weight)
        raise GraphError(f"node '{name}' has a bias of shape {np.shape(bias)}; its weight needs ({outputs},)")
    first, shape = sources[0]
    for other, other_shape in sources[1:]:
        if other_shape != shape:
            raise GraphError(f"node '{name}' sums '{first}' of shape {shape} and '{other}' of shape {other_shape}")

    def expect(wanted: tuple[int, ...]) -> None:
        if shape != wanted:
            raise GraphError(f"node '{name}' needs an input of shape {wanted}, but '{first}' gives {shape}")

    if isinstance(node, nir.Output):
        return shape
    if isinstance(node, NEURONS):
        expect(tuple(getattr(node, "v_threshold", getattr(node, "threshold", None)).shape))
        return shape
    if isinstance(node, nir.Scale):
        expect(tuple(node.scale.shape))
        return shape
    if isinstance(node, (nir.Linear, nir.Affine)):
        if node.weight.ndim != 2:
            raise GraphError(f"node '{name}' has a weight of {node.weight.ndim} dimensions; 2 are supported")
        expect((node.weight.shape[1],))
        return (node.weight.shape[0],)
    if isinstance(node, Fused):
        expect(node.input_shape)
        return node.output_shape
    if isinstance(node, nir.Flatten):
        start, end = int(node.start_dim), int(node.end_dim)
        end = end % len(shape)
        return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
    if len(shape) != 3:
        raise GraphError(f"node '{name}' needs an input [channels, height, width], but '{first}' gives {shape}")
    if isinstance(node, nir.Conv2d):
        expect((node.weight.shape[1] * int(node.groups), *shape[1:]))
        try:
            stride, padding, dilation = conv_geometry(node)
        except GraphError as error:
            raise GraphError(f"node '{name}': {error}") from error
        channels, kernel = node.weight.shape[0], node.weight.shape[2:]
    else:
        kernel, stride, padding, dilation = (
            pair(node.kernel_size),
            pair(node.stride),
            pair(node.padding),
            (1, 1),
        )
        channels = shape[0]
    size = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(shape[1:], padding, dilation, kernel, stride, strict=True)
    )
    if min(size) < 1:
        raise GraphError(f"node '{name}' has a kernel {tuple(kernel)} larger than its padded input {shape}")
    return (channels, *size)
