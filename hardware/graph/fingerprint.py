"""Fingerprints of networks and inputs: two machines that compare traces must have run the same."""

from __future__ import annotations

import hashlib

import nir
import numpy as np

from .fused import Fused
from .layers import Layers


def graph_fingerprint(graph: nir.NIRGraph) -> str:
    """SHA-256 of a graph's populations, connections and numbers, as hexadecimal digits."""
    layers, digest = Layers(graph), hashlib.sha256()
    for name in layers.populations:
        for node in (*layers.path(name), name):
            fused = layers.flat.nodes[node]
            digest.update(repr((node, layers.flat.sources[node], fused if isinstance(fused, Fused) else "")).encode())
        for key, values in layers.parameters(name).items():
            digest.update(key.encode() + _bytes(values))
    return digest.hexdigest()


def array_fingerprint(values: np.ndarray) -> str:
    """SHA-256 of an array of whole numbers, whatever its type, as hexadecimal digits."""
    return hashlib.sha256(_bytes(values)).hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    values = np.asarray(values)
    return repr(values.shape).encode() + np.ascontiguousarray(values, dtype="<f8").tobytes()
