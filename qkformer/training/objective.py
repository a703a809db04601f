"""What training makes small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Objective(nn.Module):
    """The summed cross entropy of a batch, as one module, so that accelerate and torch.compile see all of it."""

    def __init__(self, network: nn.Module, label_smoothing: float) -> None:
        super().__init__()
        self.network = network
        self.label_smoothing = label_smoothing

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Images [B, C, H, W], labels [B] or shares of classes [B, classes] -> the sum over the batch, a scalar."""
        logits = self.network(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=self.label_smoothing)
