"""What can be wrong with a data set."""

from __future__ import annotations

from hardware.errors import UserError


class DataError(UserError, ValueError):
    """A data set that is not there, or that cannot be used as it is."""
