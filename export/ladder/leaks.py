"""Samples of a model in PyTorch that are not independent of their company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hardware.parity.invariance import check_invariance
from hardware.parity.results import Leak
from qkformer import record_spikes

COMPANY = 2  # samples that are also run alone


def find_leaks(model: nn.Module, images: Tensor) -> tuple[Leak, ...]:
    """The leaks of a model, float or fixed, on images [B, C, H, W]; the first few are tried."""

    def run(samples: Sequence[int]) -> Mapping[str, np.ndarray]:
        with torch.no_grad(), record_spikes(model) as trace:
            model(images[list(samples)])
        return trace

    samples = min(COMPANY, len(images))
    return check_invariance(run, samples) if samples > 1 else ()
