"""Files of torch.save, whoever wrote them: read without running anything, and without taking more than they hold."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.schema import shown
from .errors import MOST_DEPTH, CheckpointError, check_file
from .pickle_scan import scan_pickle

MOST_ENTRIES = 1_000_000  # of all of them; of the largest published files a few thousand
MOST_REASON = 100  # characters of what PyTorch says
NUMPY_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def _dtype(code: str, *flags: Any) -> np.dtype[Any]:
    """In place of numpy.dtype, which would make types of any size."""
    if code not in NUMPY_KINDS:
        raise pickle.UnpicklingError(f"a NumPy scalar of kind {code!r}")
    return np.dtype(code)


def _scalar(dtype: np.dtype[Any], held: bytes) -> Any:
    """In place of NumPy's own: a number from its bytes."""
    return np.frombuffer(held, dtype, 1)[0].item()


# Plain data that training scripts leave beside the weights: their argument lists, and NumPy scalars (an accuracy).
PLAIN_DATA: list[Any] = [
    argparse.Namespace,
    (_dtype, "numpy.dtype"),
    *(type(np.dtype(kind)) for kind in NUMPY_KINDS),
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]


def read_pickle(path: Path) -> Any:
    """What `torch.save` wrote, read with `weights_only=True` on the CPU.

    Raises:
        CheckpointError: not such a file, cut short, one that asks for code to be run, or one whose tensors are more
            than it holds.
    """
    check_file(path)
    try:
        held = scan_pickle(path)
        with torch.serialization.safe_globals(PLAIN_DATA), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on pickle protocols; the errors below say what matters
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # the file is all that the reader is given: whatever it raises is the file's fault
        raise CheckpointError(f"{path}: not a checkpoint, or damaged ({_reason(error)})") from error
    storages = {}
    for tensor in _tensors(path, contents):
        if tensor.device.type == "cpu" and tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            storages[storage._cdata] = storage.nbytes()
    if (declared := sum(storages.values())) > held:
        raise CheckpointError(f"{path}: declares {declared:,} bytes of tensors, and has {held:,}")
    return contents


def check_plain(name: str, tensor: Tensor) -> None:
    """Raise CheckpointError unless every value of a tensor is stored, as a plain number, in memory."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        kind = str(tensor.layout).removeprefix("torch.") if tensor.layout != torch.strided else tensor.device.type
        raise CheckpointError(
            f"{name} is a {'quantized' if tensor.is_quantized else kind} tensor; weights are dense and plain"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{name} repeats values to {shown(list(tensor.shape))}; of weights each is stored")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "it declares more than memory holds"
    if isinstance(error, OverflowError) or "Overflow" in str(error) or "incompatible function" in str(error):
        return "it declares an impossible size"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = str(error)
    if own := re.search(r"WeightsUnpickler error:\s*(.*)", text):
        text = own[1]
    return " ".join(text.split())[:MOST_REASON] or type(error).__name__


def _tensors(path: Path, contents: Any) -> Iterator[Tensor]:
    """All tensors in tables and lists; a table that is in several places counts in each, as for whoever reads them."""
    left: list[tuple[Any, int]] = [(contents, 0)]
    count = 0
    while left:
        value, depth = left.pop()
        count += 1
        if count > MOST_ENTRIES:
            raise CheckpointError(f"{path}: not a checkpoint: it has more than {MOST_ENTRIES:,} entries")
        if isinstance(value, Tensor):
            yield value
        if not isinstance(value, Mapping | list | tuple | argparse.Namespace):
            continue
        if depth > MOST_DEPTH:
            raise CheckpointError(f"{path}: not a checkpoint: it is nested more than {MOST_DEPTH} deep")
        inside = vars(value) if isinstance(value, argparse.Namespace) else value
        left += [(entry, depth + 1) for entry in (inside.values() if isinstance(inside, Mapping) else inside)]
