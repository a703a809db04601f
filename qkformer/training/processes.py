"""The processes of a run: what each is, what it runs on, and what all of them do together."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hardware.errors import InputError, NotAvailableError, UserError

from ..models.config import Config
from .outputs import Outputs
from .recipe import Recipe

if TYPE_CHECKING:
    from accelerate import Accelerator


LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells its processes
NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
MOST_DIGITS = 7  # of a number of processes


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes, of those that a launcher has started."""
    return int(os.environ.get("WORLD_SIZE", 1)) <= 1 or int(os.environ.get("RANK", 0)) == 0


def check_launcher() -> None:
    """Raise InputError where a launcher's variables are there in part: processes would wait for ever."""
    found = {name: os.environ[name] for name in LAUNCHER if name in os.environ}
    numbers = {name: found[name] for name in NUMBERS if name in found}
    for name, text in numbers.items():
        if not (text.isascii() and text.isdigit() and len(text) < MOST_DIGITS):
            raise InputError(f"the environment has {name}={text[:60]!r}; it must be an integer of at least 0")
    alone = int(numbers.get("WORLD_SIZE", 1)) == 1 and "LOCAL_RANK" not in numbers
    if not numbers or (alone and int(numbers.get("RANK", 0)) == 0):
        return
    if missing := [name for name in LAUNCHER if name not in found]:
        raise InputError(
            f"the environment has {', '.join(f'{name}={text}' for name, text in found.items())} without "
            f"{', '.join(missing)}; start all processes by torchrun or accelerate launch, or unset these"
        )
    if int(found["RANK"]) >= int(found["WORLD_SIZE"]):
        raise InputError(f"the environment has RANK={found['RANK']}; it must be below WORLD_SIZE={found['WORLD_SIZE']}")


def accelerator_for(recipe: Recipe, config: Config, tensorboard: str | Path | None) -> Accelerator:
    """Hugging Face's Accelerator, for whatever `accelerate launch` or a plain call runs on.

    Raises:
        InputError: a launcher's variables are there in part.
        NotAvailableError: accelerate, or the tensorboard that is asked for, is not installed.
    """
    check_launcher()
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


@contextmanager
def claimed(outputs: Outputs, accelerator: Accelerator, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """The main process checks and locks the outputs of a run; if it cannot, no process goes on.

    Raises:
        InputError: as `Outputs.check` and `Outputs.locked`.
    """
    with ExitStack() as stack:
        failure: Exception | None = None
        if accelerator.is_main_process:
            try:
                outputs.check(resume=resume, overwrite=overwrite)
                stack.enter_context(outputs.locked())
            except (UserError, OSError) as error:
                failure = error
        if strongest(int(failure is not None), accelerator):
            raise failure or InputError(f"{outputs.checkpoint}: the main process of the run cannot write it")
        yield


def strongest(wish: int, accelerator: Accelerator) -> int:
    """The largest of all processes' wishes, so that all of them save or stop at the same step."""
    if accelerator.num_processes == 1:
        return wish
    return int(accelerator.gather(torch.tensor([wish], device=accelerator.device)).max())
