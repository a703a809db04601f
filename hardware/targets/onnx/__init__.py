"""The ONNX target: a graph as an integer ONNX model. onnx and onnxruntime are imported when it runs."""

from .model import to_onnx, write_onnx
from .session import PreparedNetwork
from .target import TARGET

__all__ = ["TARGET", "PreparedNetwork", "to_onnx", "write_onnx"]
