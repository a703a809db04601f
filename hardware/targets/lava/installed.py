"""Is Lava there? It is not imported to find out."""

from __future__ import annotations

import importlib.util

from ...errors import NotAvailableError

INSTALL = 'Lava is not installed: run  uv pip install -e ".[lava]"  (or make demo) in the project\'s clone'


class LavaNotInstalled(NotAvailableError):  # noqa: N818 - says what is the matter
    """Lava, or something it needs, is not there."""


def is_installed() -> bool:
    """Whether Lava is there; it is not imported."""
    return importlib.util.find_spec("lava") is not None


def require_lava() -> None:
    """Raise LavaNotInstalled, with what to install, unless Lava is there."""
    if not is_installed():
        raise LavaNotInstalled(INSTALL)
