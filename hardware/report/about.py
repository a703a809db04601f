"""What a bundle says of itself: about.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chip import LOIHI_2, Chip
from ..errors import InputError

LARGEST = 2**26  # characters of the file


@dataclass(frozen=True)
class About:
    """The population that differs, those that are executed, the sources they read, and how to run them again.

    target: its name; options: what its run takes; versions: of packages, then; causes: kind and text of each.
    """

    population: str
    populations: tuple[str, ...]
    sources: tuple[str, ...]
    target: str
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    causes: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> About:
        """Of a bundle's file. Raises InputError for one that lacks a part, or has another in its place."""
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(LARGEST + 1)
            found = json.loads(text) if len(text) <= LARGEST else None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
        found = _of(path, "the whole", found, dict)
        explanation = _of(path, "explanation", found.get("explanation"), dict)
        causes = [_of(path, "a cause", cause, dict) for cause in _of(path, "causes", explanation.get("causes"), list)]
        return cls(
            population=_of(path, "population", found.get("population"), str),
            populations=_texts(path, "populations", found.get("populations")),
            sources=_texts(path, "sources", found.get("sources")),
            target=_of(path, "target", found.get("target"), str),
            options=_options(path, _of(path, "options", found.get("options"), dict)),
            versions={key: str(version) for key, version in _of(path, "versions", found.get("versions"), dict).items()},
            causes=tuple((str(cause.get("kind")), str(cause.get("text"))) for cause in causes),
        )


def _options(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a target's run takes; a chip among them has every number that a chip has, and no other."""
    options = dict(found)
    for name, value in options.items():
        if name != "chip":
            _of(path, f"the option {name}", value, (bool, int, float, str))
    if "chip" in options:
        options["chip"] = _chip(path, _of(path, "the option chip", options["chip"], dict))
    return options


def _chip(path: Path, found: Mapping[str, Any]) -> Chip:
    known = LOIHI_2.to_dict()
    for field in (*known, *found):
        kinds = [_entries(values.get(field)) for values in (known, found)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{path}: {field} of the option chip is {str(found.get(field))[:40]}; not what a chip has")
    return Chip.from_dict(found)


def _entries(value: Any) -> list[type]:
    """The type of a value, or those of a range."""
    return [type(entry) for entry in value] if isinstance(value, (list, tuple)) else [type(value)]


def _texts(path: Path, what: str, value: Any) -> tuple[str, ...]:
    return tuple(_of(path, f"an entry of {what}", entry, str) for entry in _of(path, what, value, list))


def _of(path: Path, what: str, value: Any, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(value, kind):
        found = "is missing" if value is None else f"is {str(value)[:40]!r}"
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise InputError(f"{path}: {what} {found}; it must be of type {' or '.join(k.__name__ for k in kinds)}")
    return value
