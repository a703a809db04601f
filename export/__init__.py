"""Float model to fixed model to NIR graph."""

from .certificate import Certificate, LayerCertificate
from .fixed_model import FixedModel
from .quantize import ExportError, quantize
from .to_nir import to_nir

__all__ = ["Certificate", "ExportError", "FixedModel", "LayerCertificate", "quantize", "to_nir"]
