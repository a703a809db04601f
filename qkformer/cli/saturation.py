"""Images beyond what a network's inputs can hold: they are cut off there, and that is said."""

from __future__ import annotations

from typing import Any

from hardware.graph.encoding import Encoding

from .show import percent


def saturation(encoding: Encoding, images: Any) -> dict[str, int]:
    """How many values of images would leave int8 and are cut off at -127 or 127, of how many: for the record."""
    return {"values": images.numel(), "saturated": encoding.count_saturated(images)}


def describe_saturation(found: dict[str, int]) -> str | None:
    """The same in words: nothing where no value is cut off."""
    values, saturated = found["values"], found["saturated"]
    if not saturated:
        return None
    return (
        f"{saturated:,} of {values:,} input values ({percent(saturated / values)}) are beyond the calibrated range "
        "and saturate at its end"
    )
