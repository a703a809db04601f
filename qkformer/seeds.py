"""Seeds for every random choice, each its own, so that what is drawn depends on where in a run it is drawn alone."""

from __future__ import annotations

import numpy as np


def seed_of(*place: int) -> int:
    """A 63-bit seed for a place in a run, such as (seed, epoch, step): places apart draw independently.

    NumPy's SeedSequence, whose hash is guaranteed not to change between versions.

    Raises:
        ValueError: a negative entry.
    """
    if any(entry < 0 for entry in place):
        raise ValueError(f"the place of a seed is {place}; every entry must be at least 0")
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))
