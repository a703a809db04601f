"""How a run computes: threads on a CPU; TF32 and the fastest convolutions on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .recipe import Recipe


@contextmanager
def numerics(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """The recipe's threads; on a GPU TF32 and the fastest convolutions. Afterwards all is as before."""
    threads, matmul, benchmark = (
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
    )
    torch.set_num_threads(recipe.threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.benchmark = benchmark
