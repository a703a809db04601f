from .model import to_onnx, write_onnx
from .session import PreparedNetwork
from .target import TARGET

__all__ = ["TARGET", "PreparedNetwork", "to_onnx", "write_onnx"]
