"""Figures over the images of a command."""

from __future__ import annotations

from torch import Tensor


def accuracy(logits: Tensor, labels: Tensor | None) -> float | None:
    """The share of images whose largest logit is at their label; None without labels."""
    if labels is None:
        return None
    return float((logits.argmax(1).cpu() == labels).double().mean().item())
