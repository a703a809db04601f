"""Triton kernels, each beside its plain PyTorch reference; `backend` says which computes."""

from .backend import BACKENDS, KernelError, describe_backend, resolve_backend, set_backend
from .batchnorm_lif_operator import batchnorm_lif
from .lif_operator import lif
from .qk_attention_operator import channel_attention, token_attention

__all__ = [
    "BACKENDS",
    "KernelError",
    "batchnorm_lif",
    "channel_attention",
    "describe_backend",
    "lif",
    "resolve_backend",
    "set_backend",
    "token_attention",
]
