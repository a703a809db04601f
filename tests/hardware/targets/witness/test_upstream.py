"""The bugs of other tools that we step around are there still: each program of docs/upstream says so."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[4] / "docs/upstream"
PROGRAMS = sorted(FOLDER.glob("*.py"))


def test_each_is_listed_and_says_what_is_expected():
    listed = (FOLDER / "README.md").read_text()
    assert len(PROGRAMS) > 10
    for program in PROGRAMS:
        said = ast.get_docstring(ast.parse(program.read_text()))
        assert f"| `{program.name}` |" in listed
        assert said.splitlines()[0] in listed
        assert all(word in said for word in ("Expected:", "Found:", ", line ")), program.name


@pytest.mark.parametrize("program", [pytest.param(p, marks=pytest.mark.long) for p in PROGRAMS], ids=lambda p: p.stem)
def test_it_is_there_still(program):
    tool = program.stem.split("_")[0]
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=200)
    assert ran.returncode == 1, f"{program.name} found nothing wrong: what steps around it can go"
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("AssertionError: expected ")
    assert ", found " in last
