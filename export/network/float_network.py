"""The float network: what every source ends in, and what `quantize` takes. Named nodes in float64.

Its nodes are those of `float_layers` and `layers`, and qkformer's neurons, masks and pools of spikes. How it is
fed and read, and for how many time steps, its `encoding` says.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hardware.graph.encoding import Encoding

from .node_network import NodeNetwork, as_array


class FloatNetwork(NodeNetwork):
    """A float model as named nodes. Called like the float model; spikes alike up to rounding."""

    dtype = torch.float64

    def encode_as(self, encoding: Encoding, images: Tensor | np.ndarray) -> np.ndarray:
        """The images as they are, float64 [T, B, C, H, W]."""
        return encoding.present(as_array(images))
