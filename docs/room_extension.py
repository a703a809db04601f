"""For the reference of the API: `hardware.targets` is a room that can be called, and a room is what is shown.

A stub can only say that it is a function, which would hide the modules in it from mkdocstrings.
"""

from __future__ import annotations

from typing import Any

import griffe


class RoomExtension(griffe.Extension):
    """Leaves out functions of a package's stub that are called like one of its rooms."""

    def on_module_members(self, *, mod: griffe.Module, **kwargs: Any) -> None:
        """Called for the stub before it is merged with the package."""
        folder = mod.filepath.parent if hasattr(mod.filepath, "parent") else None
        if folder is None or mod.filepath.name != "__init__.pyi":
            return
        for name in [
            name
            for name, member in mod.members.items()
            if isinstance(member, griffe.Function) and (folder / name).is_dir()
        ]:
            mod.del_member(name)
