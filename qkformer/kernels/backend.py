"""Which of two implementations computes: the Triton kernels, or their plain PyTorch references.

Nothing here imports Triton; `steps.py` does, once a tensor is to be computed by it.
"""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import Tensor, nn

from hardware.errors import NotAvailableError, UserError

BACKENDS = ("auto", "torch", "triton")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)  # of the kernels; float64 is computed by PyTorch

INSTALLED = importlib.util.find_spec("triton") is not None


class KernelError(UserError, ValueError):
    """A backend that does not exist, or that cannot compute this tensor here."""


def interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, in NumPy: slow, but without a GPU.

    Triton looks at TRITON_INTERPRET as it is imported; changing it later has no effect.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"


def check_backend(backend: str) -> None:
    """Raise KernelError unless there is a backend of this name."""
    if backend not in BACKENDS:
        raise KernelError(f"backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")


def resolve_backend(backend: str, x: Tensor) -> str:
    """The backend that computes x: `torch` or `triton`.

    `auto` is Triton for tensors on a CUDA device whose dtype is in `DTYPES`, where Triton is installed; PyTorch for all
    others. `triton` is Triton or an error.

    Raises:
        KernelError: no such backend, or `triton` was asked for and cannot compute x.
        NotAvailableError: `triton` was asked for and is not installed.
    """
    check_backend(backend)
    if backend == "auto":
        return "triton" if x.is_cuda and INSTALLED and x.dtype in DTYPES else "torch"
    if backend == "triton":
        if not INSTALLED:
            raise NotAvailableError(
                'Triton is not installed: run  uv pip install -e ".[train]"  in this folder, or choose backend "torch"'
            )
        if x.dtype not in DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
            raise KernelError(f'backend "triton" computes {known}; got {x.dtype}: choose backend "torch"')
        if not x.is_cuda and not interpreted():
            raise KernelError(
                f'backend "triton" needs a CUDA device; got a tensor on {x.device}: choose backend "torch", '
                "or set TRITON_INTERPRET=1 to run the kernels in Triton's interpreter (slow)"
            )
    return backend


def describe_backend(backend: str, x: Tensor) -> str:
    """What computes x, in words: "triton 3.9.0 on NVIDIA H200", "plain PyTorch on the CPU".

    Args:
        backend: one of `BACKENDS`.
        x: any tensor of the device and dtype in question, such as a model's weight.

    Raises:
        KernelError, NotAvailableError: as `resolve_backend`.
    """
    device = torch.cuda.get_device_name(x.device) if x.is_cuda else "the CPU"
    if resolve_backend(backend, x) == "torch":
        return f"plain PyTorch on {device}"
    import triton

    where = "Triton's interpreter, on the CPU" if interpreted() else device
    return f"triton {triton.__version__} on {where}"


def set_backend(model: nn.Module, backend: str) -> None:
    """Choose the backend of every module of a model that has one.

    Raises:
        KernelError: no such backend.
    """
    check_backend(backend)
    for module in model.modules():
        if hasattr(module, "backend"):
            module.backend = backend  # type: ignore[assignment]  # no tensor
