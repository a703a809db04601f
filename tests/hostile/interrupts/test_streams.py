"""Standard streams and terminals as no command expects them: closed, full, narrow, in a poor encoding."""

import os
import subprocess
import sys

import pytest

HOW = {
    "no standard output": ">&-",
    "no standard error": "2>&-",
    "no standard input": "<&-",
    "none at all": "<&- >&- 2>&-",
    "a reader that leaves": "| true",
    "standard error, too": "2>&1 | true",
}
QUICK = ("no standard error", "none at all", "a reader that leaves")
SETTINGS = [{"COLUMNS": columns} for columns in ("0", "1", "2", "19", "-5", "many", "1" * 30, "1000000000", "١٠")] + [
    {"TERM": "dumb"},
    {"NO_COLOR": "1"},
    {"LC_ALL": "C"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONWARNINGS": "error"},
]
PROGRAM = "from qkformer.cli import main; main()"


def shell(line, folder, **environment):
    """Runs `qkformer` in a line of the shell; returns its own status, output and errors."""
    line = f'{sys.executable} -c "{PROGRAM}" {line}'
    left, pipe, right = line.partition("| ")
    return subprocess.run(
        ["sh", "-c", f"({left.strip()}; echo $? > status) {pipe}{right}" if pipe else f"{line}\necho $? > status"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def check(done, folder, status):
    assert (folder / "status").read_text() == f"{status}\n", done
    for word in ("Traceback", "Exception ignored", "Error"):
        assert word not in done.stdout + done.stderr


@pytest.mark.parametrize("how", [pytest.param(how, marks=[] if how in QUICK else pytest.mark.long) for how in HOW])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("targets", 0),
        *(
            pytest.param(*command, marks=pytest.mark.long)
            for command in [("targets --json t.json", 0), ("compare ネット b", 2), ("train --help", 0)]
        ),
    ],
)
def test_streams(how, arguments, status, tmp_path):
    check(shell(f"{arguments} {HOW[how]}", tmp_path, TERM="dumb"), tmp_path, status)
    if "json" in arguments:
        assert (tmp_path / "t.json").read_text().startswith("{")


@pytest.mark.parametrize(
    "setting", [*SETTINGS[-2:], *(pytest.param(setting, marks=pytest.mark.long) for setting in SETTINGS[:-2])], ids=str
)
@pytest.mark.parametrize(
    ("arguments", "status"),
    [("compare ネット b", 2), *(pytest.param(name, 0, marks=pytest.mark.long) for name in ("targets", "train --help"))],
)
def test_settings(setting, arguments, status, tmp_path):
    done = shell(arguments, tmp_path, **setting)
    check(done, tmp_path, status)
    assert len(done.stdout + done.stderr) > 20
    assert len(done.stdout + done.stderr) < 100_000
    if status:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_a_full_disk_behind_standard_output(tmp_path):
    done = shell("targets > /dev/full", tmp_path)
    check(done, tmp_path, 2)
    assert done.stderr == "error: standard output: No space left on device\n"
