"""The command line in this process, and what commands read."""

import signal
import sys
from typing import NamedTuple

import numpy as np
import pytest
from digits_folder import write_digits

import hardware
from export import quantize, to_nir, write_graph
from qkformer import load_checkpoint, load_data
from qkformer.cli import main


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def qkformer(monkeypatch, capsys, tmp_path):
    """Runs a command in an empty folder: qkformer("info", "qkformer-digits").status."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qkformer", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return Result(stop.value.code or 0, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():  # Ctrl-C is the tests' again
        signal.signal(number, handler)


@pytest.fixture
def refused(qkformer):
    """Runs a command that cannot run: status 2, one line on standard error that has all of these parts."""

    def refused(*arguments, names):
        result = qkformer(*arguments)
        assert result.status == 2, result
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1, result.err
        for part in names:
            assert part in result.err
        return result

    return refused


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """A NIR file of the shipped checkpoint."""
    path = tmp_path_factory.mktemp("graph") / "model.nir"
    model, _ = load_checkpoint("qkformer-digits")
    write_graph(to_nir(quantize(model, load_data("digits", "train")[0])), path)
    return path


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory):
    """A folder of a few digits, to train on in seconds."""
    return str(write_digits(tmp_path_factory.mktemp("few-digits")))


@pytest.fixture
def one_wrong_spike(monkeypatch):
    """The interpreter, with one spike of one population turned over; the value is what runs without it."""
    target = hardware.targets()["interpreter"]
    exact = target.run

    def run(graph, inputs, **options):
        trace = exact(graph, inputs, **options)
        values = np.array(trace["stage1.0.tssa.mask"])
        values[2, 1, 5, 3, 4] ^= 1
        trace["stage1.0.tssa.mask"] = values
        return trace

    monkeypatch.setattr(target, "run", run)
    return exact
