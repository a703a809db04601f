"""The smallest part that still differs, and a folder that shows it on a machine without torch."""

import copy
import json
import runpy
import subprocess
import sys

import pytest
from small_graphs import branched, whole_numbers

import hardware
from hardware.graph.populations import PopulationGraph
from hardware.parity.divergence import Side, explain
from hardware.report.bundle import smallest_failing, write_bundle

INPUTS = whole_numbers(0, 4, 3, 1, 2, 2, low=-3, high=8)
WITHOUT_TORCH = """
import os, runpy, sys
script = sys.argv[1]
sys.modules["torch"] = None  # importing it is an error now
sys.path.insert(0, os.path.dirname(script))  # as `python SCRIPT` does
import hardware
assert os.path.dirname(hardware.__file__) == os.path.join(os.path.dirname(script), "hardware")
runpy.run_path(script, run_name="__main__")
"""


def sides(change):
    right, wrong = branched(), copy.deepcopy(branched())
    change(wrong)
    return [Side(hardware.interpret(graph, INPUTS), PopulationGraph(graph), INPUTS) for graph in (right, wrong)]


def lighter(graph):
    graph.nodes["sum"].weight = graph.nodes["sum"].weight - 1


def explained(reference, target):
    report = hardware.compare(reference.trace, target.trace)
    differing = [population.name for population in report.populations if population.mismatches]
    return explain(reference, target, report.first_divergence, differing)


def test_a_wrong_number_needs_its_layer_alone():
    reference, target = sides(lighter)
    runs = []

    def run(graph, inputs):
        runs.append(graph)
        return hardware.interpret(graph, inputs)

    assert smallest_failing(reference, target, run, "last").populations == ("last",)
    assert len(runs) == 1


@pytest.mark.parametrize("needed", [["first"], ["third"], ["second"], ["first", "third", "second"]])
def test_an_error_between_layers_needs_all_of_them(needed):
    """The target errs in `last` only where the network holds these populations as well."""
    reference, target = sides(lambda graph: None)

    def run(graph, inputs):
        trace = hardware.interpret(graph, inputs)
        if set(needed) <= set(trace):
            trace["last"] = trace["last"] ^ 1
        return trace

    found = smallest_failing(reference, target, run, "last").populations
    order = ("first", "third", "second", "last")
    assert found == order[min(order.index(name) for name in needed) :]


def test_a_difference_that_does_not_come_back_keeps_the_whole_way():
    reference, target = sides(lambda graph: None)
    assert smallest_failing(reference, target, hardware.interpret, "last").populations == (
        "first", "third", "second", "last",
    )  # fmt: skip


def make_bundle(folder, backend):
    reference, target = sides(lighter)
    part = smallest_failing(reference, target, hardware.interpret, "last")
    explanation = explained(reference, target)
    return write_bundle(folder, reference, target, part, explanation, backend=backend, versions={"numpy": "1.0"})


@pytest.fixture
def script(tmp_path):
    return make_bundle(tmp_path / "bundle", "interpreter")


def run_script(script, folder):
    command = [sys.executable, "-B", "-c", WITHOUT_TORCH, script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_script_shows_the_difference_without_torch(script, tmp_path):
    done = run_script(script, tmp_path)
    assert done.returncode == 1, done.stderr
    recorded, here = [line for line in done.stdout.splitlines() if line.endswith(" differ")]
    assert recorded.startswith("interpreter, as recorded: ")
    assert recorded.split(": ")[1] == here.split(": ")[1] != "0 of 48 differ"
    assert "cause: weight: sum: 1 of 1 differ; weight[0, 0, 0, 0] is 2, 3 in the reference" in done.stdout
    assert "numpy 1.0" in done.stdout


def test_the_script_tells_when_the_difference_is_gone(script, tmp_path):
    graph = hardware.read_graph(script.parent / "graph.nir", type_check=False)
    graph.nodes["sum"].weight = graph.nodes["sum"].weight + 1
    hardware.write_graph(graph, script.parent / "graph.nir")
    done = run_script(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "interpreter, here: 0 of 48 differ" in done.stdout


def test_what_the_folder_holds(script):
    about = json.loads((script.parent / "about.json").read_text())
    assert about["population"] == "last"
    assert about["versions"] == {"numpy": "1.0"}
    assert about["sources"] == ["first", "third", "second"]
    assert about["explanation"]["origin"] == "local"
    spikes = hardware.SpikeTrace.load(script.parent / "spikes.trace")
    assert spikes["inputs"].shape == (4, 3, 3, 2, 2)
    assert (spikes["reference"] != spikes["target"]).any()
    assert not list(script.parent.rglob("__pycache__"))


@pytest.mark.long
def test_a_difference_in_lava(lava, tmp_path):
    done = run_script(make_bundle(tmp_path / "bundle", "lava"), tmp_path)
    assert done.returncode == 1, done.stderr
    assert "lava, here: 0 of 48 differ" not in done.stdout
    assert "lava, here: " in done.stdout


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("about.json", None, "about.json"),
        ("about.json", "[" * 100_000, "cannot be read"),
        ("about.json", "{}", "explanation is missing"),
        ("about.json", {"target": "nosuch"}, "nosuch"),
        ("about.json", {"options": {"\x1b[2K": 1}}, "no option"),
        ("about.json", {"options": {"chip": {"name": "x"}}}, "chip"),
        ("about.json", {"population": "other"}, "no population 'other'"),
        ("spikes.trace", "no trace", "spikes.trace"),
        ("graph.nir", "no graph", "graph.nir"),
    ],
)
def test_a_damaged_bundle_is_told_in_one_line(file, content, part, script, monkeypatch, capsys):
    if isinstance(content, dict):
        content = json.dumps(json.loads((script.parent / file).read_text()) | content)
    (script.parent / file).unlink()
    if content is not None:
        (script.parent / file).write_text(content)
    monkeypatch.setenv("PYTHONPATH", "")  # the script sets it
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(script), run_name="__main__")
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert part in line
