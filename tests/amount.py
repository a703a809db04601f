"""How much is tried at random: all of it by `make test-all`, whose profile is "long"; a tenth by `make test`."""

import hypothesis

LONG = "long"


def random_examples(count: int, short: int | None = None) -> hypothesis.settings:
    """Decorates a property test: so many examples in the long form. Others are tried tomorrow, see conftest.py."""
    long = hypothesis.settings.get_current_profile_name() == LONG
    return hypothesis.settings(max_examples=count if long else short or max(count // 10, 5))
