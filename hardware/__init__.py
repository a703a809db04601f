"""NIR graph to spikes on a target: interpreter, schedule, Lava, parity. Needs NumPy and NIR only."""

from . import lava
from .encoding import Encoding, encoding_of
from .fixed_point import RangeError, logits_of
from .floating_point import flip_margins, interpret_float
from .graph import flatten
from .graph_file import read_graph, write_graph
from .interpreter import interpret
from .invariance import check_invariance
from .packed_trace import PackedTrace
from .parity import ParityReport, combine, compare
from .raster import draw_raster
from .report import write_report
from .schedule import Schedule, schedule
from .shapes import GraphError
from .trace import SpikeTrace, TraceError

__all__ = [
    "Encoding",
    "GraphError",
    "PackedTrace",
    "ParityReport",
    "RangeError",
    "Schedule",
    "SpikeTrace",
    "TraceError",
    "check_invariance",
    "combine",
    "compare",
    "draw_raster",
    "encoding_of",
    "flatten",
    "flip_margins",
    "interpret",
    "interpret_float",
    "lava",
    "logits_of",
    "read_graph",
    "schedule",
    "write_graph",
    "write_report",
]
