"""NIR graph to spikes on a target: interpreter, schedule, Lava, parity. Needs NumPy and NIR only."""

from . import lava
from .fixed_point import RangeError, logits_of
from .graph import GraphError, flatten, read_graph
from .interpreter import interpret
from .parity import ParityReport, compare
from .trace import SpikeTrace, TraceError

__all__ = [
    "GraphError",
    "ParityReport",
    "RangeError",
    "SpikeTrace",
    "TraceError",
    "compare",
    "flatten",
    "interpret",
    "lava",
    "logits_of",
    "read_graph",
]
