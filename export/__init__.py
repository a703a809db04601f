"""Float model to fixed model to NIR graph."""

from .certificate import Certificate, LayerCertificate
from .check import check_targets, reference_trace, run_targets, verify
from .fixed_model import FixedModel
from .quantize import ExportError, quantize
from .to_nir import to_nir, write_graph

__all__ = [
    "Certificate",
    "ExportError",
    "FixedModel",
    "LayerCertificate",
    "check_targets",
    "quantize",
    "reference_trace",
    "run_targets",
    "to_nir",
    "verify",
    "write_graph",
]
