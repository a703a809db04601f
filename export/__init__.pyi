from hardware import write_graph

from .errors import ExportError
from .ladder.climb import Ladder
from .ladder.leaks import find_leaks
from .ladder.run import run_integer_ladder, run_ladder
from .lower.graph import count_gates, to_nir
from .lower.onnx import to_onnx
from .network.certificate import Certificate, LayerCertificate
from .network.fixed_model import FixedModel, reference_trace
from .network.float_network import FloatNetwork
from .network.float_network import FloatNetwork as FoldedModel
from .quantization.network import quantize
from .quantization.training import QuantizationAware
from .sources.fold import fold_model
from .sources.graph import from_nir

__all__ = [
    "Certificate",
    "ExportError",
    "FixedModel",
    "FloatNetwork",
    "FoldedModel",
    "Ladder",
    "LayerCertificate",
    "QuantizationAware",
    "count_gates",
    "find_leaks",
    "fold_model",
    "from_nir",
    "quantize",
    "reference_trace",
    "run_integer_ladder",
    "run_ladder",
    "to_nir",
    "to_onnx",
    "write_graph",
]
