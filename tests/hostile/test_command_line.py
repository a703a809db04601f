"""What is typed: options and names that no command takes, and where results are to go."""

import pytest
from hostile.case import Case

CASES = {
    "no such command": Case(("fly",), ("fly",)),
    "no such configuration": Case(("info", "qkformer-11"), ("qkformer-11",)),
    "images: none": Case(("verify", "qkformer-digits", "--images", "0"), ("--images", "0", "at least 1")),
    "images: not a number": Case(("verify", "qkformer-digits", "--images", "many"), ("--images", "many")),
    "no such target": Case(("verify", "qkformer-digits", "--against", "loihi"), ("loihi", "interpreter")),
}


@pytest.mark.parametrize("name", CASES)
def test_command_line(name, check):
    check(CASES[name])
