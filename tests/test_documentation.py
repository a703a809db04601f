"""What the documentation shows is so: code runs, commands and files exist, fields are those written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qkformer.cli import main
from qkformer.cli.commands import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows(text, heading):
    """The first column of the first table after a heading, without its backticks' neighbours."""
    table = re.search(rf"^#+ {heading}\n.*?^\| ---.*?\n(.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)[1]
    return [re.findall(r"`([^`]+)`", line.split(" | ")[0]) for line in table.splitlines()]


def test_python_of_the_readme(tmp_path, lava):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    statements = [line for line in code.splitlines() if line.strip()]
    assert len(statements) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 of 1155232 None\n" * 2
    assert "`0 of 1155232 None` twice" in README


def test_commands_of_the_readme():
    documented = [names[0].split()[1] for names in rows(README, "Commands")]
    assert sorted(documented) == sorted(command.callback.__name__ for command in app.registered_commands)


def test_fields_of_parity(tmp_path, monkeypatch):
    command = ["verify", "qkformer-digits", "--against", "interpreter", "--images", "1", "--report", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["qkformer", *command])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    found = json.loads((tmp_path / "parity.json").read_text())
    documented = [name for names in rows(COMMANDS, "parity.json") for name in names]
    assert set(documented) == set(found)
    populations = next(line for line in COMMANDS.splitlines() if line.startswith("| `populations` |"))
    assert set(re.findall(r"`(\w+)`", populations)[1:]) == set(found["populations"][0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths(document):
    text = document.read_text()
    named = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    named += re.findall(r"`((?:docs|examples|hardware|export|qkformer|tests)/[\w./]*)`", text)
    missing = [path for path in named if not ((document.parent / path).exists() or (ROOT / path).exists())]
    assert missing == []


def test_figures_of_the_demo():
    """The README's sample is a real one: its counts are those of a run (tests/cli runs the demo itself)."""
    from qkformer import create_model

    parameters = sum(p.numel() for p in create_model("qkformer-digits").parameters())
    assert f"qkformer-digits, {parameters:,} parameters" in README
    assert (ROOT / "docs/raster.png").read_bytes().startswith(b"\x89PNG")
