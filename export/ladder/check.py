"""Which targets a fixed model is verified against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import hardware
from hardware import SpikeTrace
from hardware.errors import InputError

TARGETS: dict[str, Callable[..., SpikeTrace]] = {
    "interpreter": hardware.interpret,
    "lava": hardware.lava.simulate,
}


def check_targets(targets: Sequence[str]) -> None:
    """Raise InputError unless every target is known and there is one."""
    for target in targets:
        if target not in TARGETS:
            raise InputError(f"no target is called '{target}'; there are {', '.join(TARGETS)}")
    if not targets:
        raise InputError(f"no target to verify against; there are {', '.join(TARGETS)}")
