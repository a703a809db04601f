"""Fingerprints of networks and inputs: two machines that compare traces must have run the same."""

from __future__ import annotations

import hashlib

import nir
import numpy as np

from ..errors import GraphError
from .populations import PopulationGraph


def graph_fingerprint(graph: nir.NIRGraph) -> str:
    """SHA-256 of a graph's populations, connections and numbers, as hexadecimal digits."""
    digest = hashlib.sha256()
    try:
        populations = PopulationGraph(graph)
    except GraphError:  # a mark that is wrong: the gates are what the graph says
        populations = PopulationGraph(graph, fused=False)
    for name in populations.populations:
        for node in (*populations.path(name), name):
            operation = populations.flat.operations.get(node, "")
            digest.update(repr((node, populations.flat.sources[node], operation)).encode())
        for key, values in populations.parameters(name).items():
            digest.update(key.encode() + _bytes(values))
    return digest.hexdigest()


def array_fingerprint(values: np.ndarray) -> str:
    """SHA-256 of an array of integers, whatever its type, as hexadecimal digits."""
    return hashlib.sha256(_bytes(values)).hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    values = np.asarray(values)
    return repr(values.shape).encode() + np.ascontiguousarray(values, dtype="<f8").tobytes()
