"""Float model to fixed model to NIR graph."""

from hardware import write_graph

from .certificate import Certificate, LayerCertificate
from .check import check_targets, reference_trace, run_targets, verify
from .errors import ExportError
from .fixed_model import FixedModel
from .fold_model import FoldedModel, fold_model
from .ladder import Ladder, find_leaks, run_ladder
from .qat import QuantizationAware
from .quantize import quantize
from .to_nir import count_gates, to_nir
from .to_onnx import run_onnx, to_onnx

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
