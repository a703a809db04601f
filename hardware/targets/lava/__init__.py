"""The Lava target. Lava itself is imported in the worker process only: compat, network, models, processes."""

from ...lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
