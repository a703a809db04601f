"""Public names of a package, each imported when it is first asked for, so that importing the package costs nothing.

A package lists them once, as imports in its `__init__.pyi`, which type checkers read as well.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attach(package: str, file: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` of a package, from the `__init__.pyi` beside its `__init__.py`.

    package, file: its `__name__` and `__file__`. The stub holds `from .module import name [as other]`, and `def name()`
    for a sub-package of that name that can be called.
    """
    places: dict[str, tuple[str, str | None]] = {}  # public name -> module, and name there unless it is the module
    for statement in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            places |= {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            places[statement.name] = (f".{statement.name}", None)

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, original = places[name]
        module = importlib.import_module(place, package)
        found = getattr(module, original, None) if original else module
        if found is None:  # a module, not a name in one
            found = importlib.import_module(f"{module.__name__}.{original}")
        setattr(sys.modules[package], name, found)
        return found

    return sorted(places), get, lambda: sorted(places)
