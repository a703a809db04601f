"""The fixed model: a network of whole numbers, and the certificate that nothing in it overflows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hardware.graph.encoding import Encoding

from ..quantization.certificate import Certificate
from .node_network import INPUT, OUTPUT, Node, NodeNetwork

__all__ = ["INPUT", "OUTPUT", "FixedModel", "Node"]


class FixedModel(NodeNetwork):
    """An integer network whose results no order of summation can change. Called like the float model."""

    def __init__(self, encoding: Encoding):
        super().__init__(encoding)
        self.certificate = Certificate(())

    def encode(self, images: Tensor) -> np.ndarray:
        """What the network receives: int8 [T, B, C, H, W]; see Encoding.encode."""
        return self.encoding.encode(torch.as_tensor(images).detach().cpu())
