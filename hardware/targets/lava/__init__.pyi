from .simulation import default_sections, process_count, simulate
from .supervise import LavaError
from .target import TARGET

__all__ = ["TARGET", "LavaError", "default_sections", "process_count", "simulate"]
