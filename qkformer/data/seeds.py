"""Seeds for every random choice, each its own, so that what is drawn depends on where in a run it is drawn alone."""

from __future__ import annotations

import hashlib


def seed_of(purpose: str, *place: int) -> int:
    """A 63-bit seed for a purpose and a place in a run, such as (seed, epoch, step).

    SHA-256 of both: the same in every version, and others for every other purpose or place. (NumPy's SeedSequence
    gives (1,) and (1, 0) the same state.)
    """
    described = f"{purpose} {' '.join(str(int(entry)) for entry in place)}"
    return int.from_bytes(hashlib.sha256(described.encode()).digest()[:8], "big") >> 1
