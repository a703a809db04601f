"""Float model to float network to fixed model to NIR graph.

The public names are listed in `__init__.pyi`; each is imported when it is first asked for.
"""

from hardware.lazy import attach

__getattr__, __dir__ = attach(__name__, __file__)
