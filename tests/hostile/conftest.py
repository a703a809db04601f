"""Commands by the hundred: `command("info", "x.pth")` runs one as the shell would, in a folder of the test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.case import Case, Outcome, check_case

PATIENCE = 60  # seconds that a command may take on a busy machine


@pytest.fixture(scope="session")
def command_server(tmp_path_factory):
    """A process that has imported everything and forks for each command."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("command_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        | {"HF_HOME": str(tmp_path_factory.mktemp("cache")), "HF_HUB_OFFLINE": "1"},
    )
    yield server
    server.stdin.close()
    server.stdout.close()
    server.wait()


@pytest.fixture(scope="session")
def ask(command_server):
    """Runs a command in a folder and returns its Outcome."""

    def ask(arguments, folder, patience=PATIENCE, **environment) -> Outcome:
        request = {
            "arguments": [*map(str, arguments)],
            "folder": str(folder),
            "environment": environment,
            "patience": patience,
        }
        print(json.dumps(request), file=command_server.stdin, flush=True)
        return Outcome(**json.loads(command_server.stdout.readline()))

    return ask


@pytest.fixture
def command(ask, tmp_path):
    """Runs a command in tmp_path and returns its Outcome."""

    def command(*arguments, **options) -> Outcome:
        return ask(arguments, tmp_path, **options)

    return command


@pytest.fixture
def check(command, tmp_path):
    """Runs a case and holds it against what it must keep."""

    def check(case: Case) -> Outcome:
        case.make(tmp_path)
        outcome = command(*case.arguments)
        check_case(case, outcome)
        return outcome

    return check
