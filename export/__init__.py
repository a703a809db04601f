"""Float model to fixed model to NIR graph."""

from hardware import write_graph

from .errors import ExportError
from .ladder.check import check_targets, reference_trace, run_targets, verify
from .ladder.climb import Ladder, find_leaks, run_ladder
from .lower.graph import count_gates, to_nir
from .lower.onnx import run_onnx, to_onnx
from .network.fixed_model import FixedModel
from .quantization.certificate import Certificate, LayerCertificate
from .quantization.network import quantize
from .quantization.training import QuantizationAware
from .sources.fold import FoldedModel, fold_model

__all__ = [
    "Certificate",
    "ExportError",
    "FixedModel",
    "FoldedModel",
    "Ladder",
    "LayerCertificate",
    "QuantizationAware",
    "check_targets",
    "count_gates",
    "find_leaks",
    "fold_model",
    "quantize",
    "reference_trace",
    "run_ladder",
    "run_onnx",
    "run_targets",
    "to_nir",
    "to_onnx",
    "verify",
    "write_graph",
]
