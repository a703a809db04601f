"""What runs a NIR graph. To add a target: a file or folder beside this that ends in a `Target` called TARGET.

The room is called like the registry: `hardware.targets()` gives every target by name.
"""

from __future__ import annotations

import sys
from types import ModuleType

from .interface import Target
from .registry import all_targets


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(self) -> dict[str, Target]:
        """Every target by name, see `registry.all_targets`."""
        return all_targets()


sys.modules[__name__].__class__ = _Room
