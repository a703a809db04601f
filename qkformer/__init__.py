"""Spiking transformers: the models and their training.

The public names are listed in `__init__.pyi`; each is imported when it is first asked for.
"""

from hardware.lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
