"""Triton kernels, each beside its plain PyTorch reference; `backend` says which computes."""
