"""Networks of named nodes in PyTorch: float and fixed."""
