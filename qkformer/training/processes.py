"""The processes of a run: what each is, what it runs on, and what all of them do together."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hardware.errors import NotAvailableError

from ..models.config import Config
from .recipe import Recipe

if TYPE_CHECKING:
    from accelerate import Accelerator


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes, of those that a launcher has started."""
    return int(os.environ.get("WORLD_SIZE", 1)) <= 1 or int(os.environ.get("RANK", 0)) == 0


def accelerator_for(recipe: Recipe, config: Config, tensorboard: str | Path | None) -> Accelerator:
    """Hugging Face's Accelerator, for whatever `accelerate launch` or a plain call runs on.

    Raises:
        NotAvailableError: accelerate, or the tensorboard that is asked for, is not installed.
    """
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise NotAvailableError('training needs accelerate; run: pip install "qkformer[train]"') from error
    if tensorboard is not None and importlib.util.find_spec("tensorboard") is None:
        raise NotAvailableError('--tensorboard needs tensorboard; run: pip install "qkformer[train]"')
    AcceleratorState._reset_state()  # a second run in one process may have another precision
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision={"fp32": "no", "bf16": "bf16"}[recipe.precision],
        # Published models have weights that their forward pass never calls.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=bool(config.unused))],
        log_with=None if tensorboard is None else "tensorboard",
        project_dir=None if tensorboard is None else str(tensorboard),
    )
    if tensorboard is not None:
        accelerator.init_trackers(config.name)
    return accelerator


def strongest(wish: int, accelerator: Accelerator) -> int:
    """The largest of all processes' wishes, so that all of them save or stop at the same step."""
    if accelerator.num_processes == 1:
        return wish
    return int(accelerator.gather(torch.tensor([wish], device=accelerator.device)).max())
