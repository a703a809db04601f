"""NIR graph to spikes on a target: interpreter, schedule, Lava, parity. Needs NumPy and NIR only."""

from .chip.fixed_point import RangeError, logits_of
from .errors import TraceError
from .graph.encoding import Encoding, encoding_of
from .graph.file import read_graph, write_graph
from .graph.flatten import flatten
from .graph.schedule import Schedule, schedule
from .graph.shapes import GraphError
from .parity.compare import combine, compare
from .parity.invariance import check_invariance
from .parity.results import ParityReport
from .report.page import write_report
from .report.raster import draw_raster
from .target import lava
from .target.floating_point import flip_margins, interpret_float
from .target.interpreter import interpret
from .trace.packed_trace import PackedTrace
from .trace.spike_trace import SpikeTrace

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
