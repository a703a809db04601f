"""The Lava backend. Lava itself is imported in the worker process only: compat, network, models, processes."""

from .simulate import default_sections, process_count, simulate
from .supervise import LavaError

__all__ = ["LavaError", "default_sections", "process_count", "simulate"]
