"""The fixed model: a network of integers for one chip, and the certificate that nothing in it overflows."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hardware import SpikeTrace
from hardware.chip import LOIHI_2, Chip
from hardware.graph.encoding import Encoding
from qkformer import record_spikes

from .certificate import Certificate
from .node_network import NodeNetwork, as_array


class FixedModel(NodeNetwork):
    """An integer network whose results no order of summation can change. Called like the float model.

    chip: whose formats its integers fit. certificate: bounds on every sum and membrane, see `Certificate`.
    """

    def __init__(self, encoding: Encoding, chip: Chip = LOIHI_2) -> None:
        super().__init__(encoding)
        self.chip = chip
        self.certificate = Certificate(())
        self.rounded_decays: dict[str, str] = {}  # by population, of decays that the chip does not have

    def encode_as(self, encoding: Encoding, images: Tensor | np.ndarray) -> np.ndarray:
        """int8 [T, B, C, H, W]; see Encoding.encode."""
        return encoding.encode(as_array(images))

    def encode(self, images: Tensor | np.ndarray) -> np.ndarray:
        """What the network receives: int8 [T, B, C, H, W]; see Encoding.encode."""
        return self.encode_as(self.encoding, images)


def reference_trace(fixed: FixedModel, images: Tensor | np.ndarray) -> SpikeTrace:
    """Every population of the fixed model in PyTorch, [T, B, ...]; images: [B, C, H, W], or counts [B, T, C, H, W]."""
    trace = SpikeTrace()
    with record_spikes(fixed, into=trace):
        fixed(images)
    return trace
