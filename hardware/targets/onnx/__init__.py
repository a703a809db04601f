"""The ONNX target: a graph as an integer ONNX model. onnx and onnxruntime are imported when it runs."""

from ...lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
