"""Public names of a package, each imported when it is first asked for, so that importing the package costs nothing.

A package lists them once, as imports in its `__init__.pyi`, which type checkers read as well. Nothing is imported here
before that: a command's first moments are those in which Ctrl-C is not yet its own.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__`, which knows `__all__` too, and `__dir__` of a package, from the `__init__.pyi` beside it.

    package, file: its `__name__` and `__file__`. The stub holds `from .module import name [as other]`, and `def name()`
    for a sub-package of that name that can be called.
    """
    places: dict[str, tuple[str, str | None]] = {}  # public name -> module, and name there unless it is the module

    def names() -> list[str]:
        if not places:
            places.update(_read(file))
        return sorted(places)

    def get(name: str) -> Any:
        import sys
        from importlib import import_module

        if name == "__all__":
            return names()
        if (name.startswith("__") and name.endswith("__")) or name not in names():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, original = places[name]
        module = import_module(place, package)
        found = getattr(module, original, None) if original else module
        if found is None:  # a module, not a name in one
            found = import_module(f"{module.__name__}.{original}")
        setattr(sys.modules[package], name, found)
        return found

    return get, names


def _read(file: str) -> dict[str, tuple[str, str | None]]:
    import ast
    from pathlib import Path

    places: dict[str, tuple[str, str | None]] = {}
    for statement in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            places |= {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef):
            places[statement.name] = (f".{statement.name}", None)
    return places
