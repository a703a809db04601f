"""The Lava backend. Lava itself is imported in the worker process only: compat, network, models, processes."""

from .simulate import process_count, simulate
from .supervise import LavaError

__all__ = ["LavaError", "process_count", "simulate"]
