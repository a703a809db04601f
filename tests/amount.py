"""How much is tried: all of it by `make test-all`, whose profile is "long"; else a part.

At random a tenth; and of cases that are much alike, the first few (mark `exhaustive`).
"""

from collections.abc import Iterable
from typing import Any

import hypothesis
import pytest

LONG = "long"


def random_examples(count: int, short: int | None = None) -> hypothesis.settings:
    """Decorates a property test: so many examples in the long form. Others are tried tomorrow, see conftest.py."""
    long = hypothesis.settings.get_current_profile_name() == LONG
    return hypothesis.settings(max_examples=count if long else short or max(count // 10, 5))


def first_of(usual: int, cases: Iterable[Any], ids: Any = str) -> list[Any]:
    """Parameters of a test, of which those after the first `usual` are left to `make test-all`."""
    return [
        pytest.param(case, marks=pytest.mark.exhaustive if number >= usual else (), id=ids(case))
        for number, case in enumerate(cases)
    ]
