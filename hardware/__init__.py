"""NIR graph to spikes on a target: interpreter, schedule, Lava, parity. It computes with NumPy and NIR alone.

The public names are listed in `__init__.pyi`; each is imported when it is first asked for.
"""

from .lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
