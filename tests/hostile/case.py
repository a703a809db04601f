"""What a hostile case is, and what every one of them must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOST_MEMORY = 1 << 30  # bytes that a refusal may take


@dataclass(frozen=True)
class Outcome:
    """How a command ended. peak: bytes of resident memory; killed: it did not end by itself."""

    status: int
    out: str
    err: str
    peak: int
    killed: bool


@dataclass(frozen=True)
class Case:
    """A command on hostile input. make: writes the input into the folder; names: what the one line must name."""

    arguments: tuple[str, ...]
    names: tuple[str, ...] = ()
    make: Callable[[Path], object] = field(default=lambda folder: None)
    status: int = 2


def check_promises(outcome: Outcome) -> None:
    """Whatever came in: no traceback, no hang, no bug, no 'a spike differs', bounded memory; a refusal is one line."""
    assert not outcome.killed, outcome
    assert outcome.status in (0, 2), outcome
    assert "Traceback" not in outcome.out + outcome.err, outcome
    assert outcome.peak < MOST_MEMORY, outcome
    if outcome.status == 2:
        assert outcome.err.startswith("error: "), outcome
        assert outcome.err.count("\n") == 1, outcome


def check_case(case: Case, outcome: Outcome) -> None:
    """The promises, the expected status, and what the line must name."""
    check_promises(outcome)
    assert outcome.status == case.status, outcome
    for name in case.names:
        assert name in outcome.err, outcome
