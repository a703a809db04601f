"""The interpreter: over whole sequences, time step by time step, and in floating point."""

from .target import TARGET

__all__ = ["TARGET"]
