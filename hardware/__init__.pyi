from .chip import LOIHI_2, Chip, chips, get_chip
from .errors import GraphError, InputError, NotAvailableError, RangeError, TargetError, TraceError, UserError
from .graph.encoding import Encoding, encoding_of, logits_of
from .graph.file import read_graph, write_graph
from .graph.flatten import flatten
from .graph.netx import write_netx
from .graph.schedule import Schedule, schedule
from .parity.compare import combine, compare
from .parity.invariance import check_invariance
from .parity.results import ParityReport
from .report.page import write_report
from .report.raster import draw_raster
from .targets import lava
from .targets.interface import Target
from .targets.interpreter.floating_point import flip_margins, interpret_float
from .targets.interpreter.sequence import interpret
from .targets.interpreter.stepwise import interpret_stepwise
from .trace.packed_trace import PackedTrace
from .trace.spike_trace import SpikeTrace

def targets() -> dict[str, Target]: ...

__all__ = [
    "LOIHI_2",
    "Chip",
    "Encoding",
    "GraphError",
    "InputError",
    "NotAvailableError",
    "PackedTrace",
    "ParityReport",
    "RangeError",
    "Schedule",
    "SpikeTrace",
    "Target",
    "TargetError",
    "TraceError",
    "UserError",
    "check_invariance",
    "chips",
    "combine",
    "compare",
    "draw_raster",
    "encoding_of",
    "flatten",
    "flip_margins",
    "get_chip",
    "interpret",
    "interpret_float",
    "interpret_stepwise",
    "lava",
    "logits_of",
    "read_graph",
    "schedule",
    "targets",
    "write_graph",
    "write_netx",
    "write_report",
]
