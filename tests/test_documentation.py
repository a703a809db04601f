"""What the documentation shows is so: code runs, commands and files exist, fields are those written."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
import typer

import hardware
from export.ladder.run import MOST_GATES
from export.lower.graph import LARGE
from hardware.targets.lava.simulation import MOST_PROCESSES, MOST_VALUES
from hardware.targets.witness.target import WitnessTarget
from qkformer import config_names, create_model, load_checkpoint, load_data
from qkformer.checkpoints.checkpoint import SHIPPED
from qkformer.cli import main
from qkformer.cli.commands import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
GROUP = typer.main.get_command(app)
BLOCK = re.compile(r"```(?:python)?\n.*?```|(?:^    [^\n]*\n)+", re.DOTALL | re.MULTILINE)


@pytest.fixture
def script(monkeypatch):
    """A script as a module."""

    def load(path):
        spec = importlib.util.spec_from_file_location(f"script_{Path(path).stem}", ROOT / path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
        spec.loader.exec_module(module)
        return module

    return load


def typed(*names):
    """What is typed in the code of the documents, in blocks and between backticks, of programs of these names."""
    for document in DOCUMENTS:
        text = document.read_text()
        lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text).replace("\\|", "|"))
        for line in lines:
            command = re.sub(r"\s+#.*", "", line)
            if re.match(rf"(\.venv/bin/)?({'|'.join(names)}) ", command):
                yield document.name, command


def rows(text, heading):
    """The first cell of each row, and the rest, of the first table after a heading."""
    table = re.search(rf"^#+ {heading}\n.*?^\| ---.*?\n(.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)[1]
    return [line.removeprefix("| ").removesuffix(" |").split(" | ", 1) for line in table.splitlines()]


@pytest.fixture
def qkformer(monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qkformer", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0

    return run


@pytest.fixture
def onnx():
    """Skips where the target onnx is absent; CI installs it."""
    if reason := hardware.targets()["onnx"].available():
        pytest.skip(reason)


@pytest.fixture
def own_files(tmp_path):
    """A checkpoint and images as a user has them."""
    torch.save({"state_dict": load_checkpoint("qkformer-digits")[0].state_dict()}, tmp_path / "my.pth")
    images, labels = load_data("digits", "test")
    np.savez(tmp_path / "data.npz", images=images[:2].numpy(), labels=labels[:2].numpy())


@pytest.mark.long
def test_python_of_the_readme(tmp_path, lava, onnx):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    statements = [line for line in code.splitlines() if line.strip()]
    assert len(statements) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 of 1155232 None\n" * 3
    assert "`0 of 1155232 None` three times" in README


@pytest.mark.parametrize("name", ["getting-started", "your-checkpoint", "verification"])
def test_python_of_the_guide(name, own_files, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / f"docs/{name}.md").read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    exec("".join(blocks), {"__name__": "example"})


@pytest.mark.long
def test_your_own_checkpoint_in_three_commands(qkformer, own_files, lava, onnx):
    section = re.search(r"## Your own checkpoint\n\n((?:    .*\n)+)", README)[1]
    commands = [shlex.split(line) for line in section.splitlines()]
    assert [command[1] for command in commands] == ["export", "simulate", "verify"]
    assert [qkformer(*command[1:]) for command in commands] == [0, 0, 0]
    assert json.loads(Path("runs/verify/parity.json").read_text())["mismatches"] == 0


def test_every_command_that_is_shown_exists():
    shown = list(typed("qkformer", r"accelerate launch -m qkformer", r"torchrun --nproc_per_node 2 -m qkformer"))
    assert len(shown) > 40
    for document, line in shown:
        words = shlex.split(line[line.index("qkformer ") :])[1:]
        name, *rest = words
        if name in ("NAME", "...") or name.startswith("--"):
            continue
        assert name in GROUP.commands, (document, line)
        options = {flag for option in GROUP.commands[name].params for flag in (*option.opts, *option.secondary_opts)}
        unknown = {word for word in rest if word.startswith("-") and word not in options}
        assert not unknown, (document, line)


def test_commands_in_blocks_are_whole():
    """Nothing that is needed is left out, and values are of the right kind."""
    count = 0
    for document in DOCUMENTS:
        for block in BLOCK.findall(document.read_text()):
            for line in block.splitlines():
                command = re.sub(r"\s+#.*", "", line.strip())
                if command.startswith("qkformer "):
                    name, *rest = shlex.split(command)[1:]
                    GROUP.commands[name].make_context(name, rest)
                    count += 1
    assert count > 10


def test_scripts_that_are_shown_exist_and_take_their_options():
    shown = list(typed("python"))
    assert {"benchmarks/results.py", "docs/support.py"} <= {line.split()[1] for _, line in shown}
    for document, line in shown:
        words = shlex.split(line)[1:]
        if words[0].endswith(".py") and "/" in words[0]:
            source = (ROOT / words[0]).read_text()
            assert all(word in source for word in words if word.startswith("--")), (document, line)


def test_scripts_import_what_exists():
    """Those that nothing else runs too: a name that moved would show in months."""
    scripts = [path for folder in ("benchmarks", "examples", "docs") for path in (ROOT / folder).glob("*.py")]
    assert len(scripts) > 15
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("hardware", "export", "qkformer"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), (path.name, node.module)


def test_make_has_the_targets_that_are_shown():
    makefile = (ROOT / "Makefile").read_text()
    for document, line in typed("make"):
        for target in re.findall(r"^make ([a-z-]+)$", line):
            assert f"\n{target}:" in makefile, (document, line)


def test_all_commands_are_described():
    documented = [first.strip("`").split()[1] for first, _ in rows(COMMANDS, "Commands")]
    assert sorted(documented) == sorted(GROUP.commands)


def test_fields_of_parity(qkformer):
    assert qkformer("verify", "qkformer-digits", "--against", "interpreter", "--images", 1, "--report", ".") == 0
    found = json.loads(Path("parity.json").read_text())
    documented = [name for first, _ in rows(COMMANDS, "parity.json") for name in re.findall(r"`(\w+)`", first)]
    assert set(documented) == set(found)
    populations = next(line for line in COMMANDS.splitlines() if line.startswith("| `populations` |"))
    assert set(re.findall(r"`(\w+)`", populations)[1:]) == set(found["populations"][0])


def test_fields_of_the_other_commands(qkformer):
    commands = {
        "info": ["qkformer-digits"],
        "export": ["qkformer-digits", "-o", "model.nir"],
        "simulate": ["model.nir", "--images", 1, "-o", "spikes.trace"],
        "compare": ["spikes.trace", "spikes.trace"],
        "targets": [],
    }
    documented = {first.strip("`"): rest for first, rest in rows(COMMANDS, "JSON")}
    for name, arguments in commands.items():
        assert qkformer(name, *arguments, "--json", "found.json") == 0
        found = json.loads(Path("found.json").read_text())
        fields = re.sub(r"\([^()]*\)|: for each .*", "", documented[name])
        assert {*re.findall(r"`(\w+)`", fields), "command", "versions"} == set(found), name
    each = re.search(r"for each (.*)", documented["targets"])[1]
    assert set(re.findall(r"`(\w+)`", each)) == set(found["targets"][0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths(document):
    text = document.read_text()
    named = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    folders = "docs|examples|benchmarks|hardware|export|qkformer|tests"
    named += re.findall(rf"`((?:{folders})/[\w./]*)`", BLOCK.sub("", text))
    missing = [path for path in named if not ((document.parent / path).exists() or (ROOT / path).exists())]
    assert missing == []


def test_a_graph_of_another_tool_runs_from_python_alone(qkformer, capsys):
    """As the README's limits say; the guide's Python runs such a graph."""
    gate = nir.Threshold(np.full((1, 8, 8), 0.5))
    hardware.write_graph(nir.NIRGraph.from_list(nir.Input(np.array([1, 8, 8])), gate), "other.nir")
    assert qkformer("simulate", "other.nir", "-o", "t.trace") == 2
    assert "metadata" in capsys.readouterr().err


def test_limits_are_those_of_the_code():
    assert (MOST_PROCESSES, MOST_VALUES, MOST_GATES, LARGE) == (200, 200_000, 10**6, 10**8)
    lava = (ROOT / "docs/lava.md").read_text()
    assert "up to 200 processes that send up to 200,000 values a step" in lava
    assert "small network (200\nprocesses, 200,000 values a step)" in README
    assert "unasked below a million" in README
    assert "more than 100 million gates" in README
    assert 'lava-nc==0.10.0"' in (ROOT / "pyproject.toml").read_text()


def test_configurations_that_are_recognized():
    text = (ROOT / "docs/your-checkpoint.md").read_text()
    found = set()
    for first, rest in rows(text, "Which files are read"):
        for name in re.findall(r"`([\w-]+)`", first):
            found |= {name[:-1] + x for x in re.findall(r"`([\w-]+)`", rest)} if name.endswith("X") else {name}
    assert found == set(config_names())


def test_support_matrix(script):
    support = script("docs/support.py")
    facts = json.loads(support.FACTS.read_text())
    assert support.filled(README, facts) == README
    assert set(facts) == set(config_names())
    assert sorted(name for row in support.ROWS for name in support.names_of(row, facts)) == sorted(facts)
    targets = hardware.targets().values()
    ours = {t.name for t in targets if type(t).__module__.startswith("hardware.") and not isinstance(t, WitnessTarget)}
    assert ours <= set(support.TARGETS)
    for name in ("qkformer-digits", "qkformer-dvs128", "qkformer-cifar10-dvs-pre-activation"):
        found = support.measure(name)
        assert found["parameters"] == facts[name]["parameters"]
        assert found["refused"] == facts[name]["refused"]
        assert found["gates"] is None or found["gates"] == pytest.approx(facts[name]["gates"], rel=0.1)


def test_table_of_tools(script):
    tools = script("docs/interoperability.py")
    page = tools.PAGE.read_text()
    assert tools.filled(page) == page
    witnesses = {target.name: target for target in hardware.targets().values() if isinstance(target, WitnessTarget)}
    assert set(tools.RUN) == set(witnesses)
    result = json.loads(tools.RESULTS.read_text())["result"]
    assert result["versions"] == {name: target.tested for name, target in witnesses.items()}


def test_parameters_of_every_configuration():
    facts = json.loads((ROOT / "docs/support.json").read_text())
    for name, fact in facts.items():
        with torch.device("meta"):
            assert sum(p.numel() for p in create_model(name).parameters()) == fact["parameters"], name


def test_what_scripts_write(script):
    results, pipeline = script("benchmarks/results.py"), script("docs/pipeline.py")
    assert results.PAGE.read_text() == results.page()
    assert pipeline.FILE.read_text() == pipeline.draw()
    fields = {"command", "date", "machine", "load", "result"}
    for path in results.FOLDER.glob("*.json"):
        assert set(json.loads(path.read_text())) == fields, path.name


def test_figures_of_the_demo():
    """The README's sample is a real one: its counts are those of a run (tests of the commands run the demo itself)."""
    parameters = sum(p.numel() for p in create_model("qkformer-digits").parameters())
    assert f"qkformer-digits, {parameters:,} parameters" in README
    result = json.loads((ROOT / "docs/results/demo.json").read_text())["result"]
    scores = {name: f"{name} {share:.2%}".replace("%", " %") for name, share in result["held_out_accuracy"].items()}
    assert f"{scores['float']}, {scores['fixed']} on 360" in README
    assert f"{result['mismatches']} of {result['compared']:,} spikes differ" in README
    assert (ROOT / "docs/raster.png").read_bytes().startswith(b"\x89PNG")


def test_figures_of_the_checkpoints_that_ship():
    """Accuracies are those of the results, minutes those of the logs."""
    text = (ROOT / "docs/training.md").read_text()
    minutes = []
    for first, rest in rows(text, "The checkpoints that ship"):
        name = first.strip("`")
        file = ROOT / f"docs/results/accuracy-{name}.json"
        if file.exists():
            result = json.loads(file.read_text())["result"]
            assert f"| {100 * result['float']:.2f} % of {result['images']:,} | {100 * result['fixed']:.2f} %" in rest
        parameters = sum(p.numel() for p in create_model(name).parameters())
        assert f"| {parameters:,} |" in rest
        entries = [json.loads(line) for line in (SHIPPED / f"{name}.log.jsonl").read_text().splitlines()]
        last = [a["seconds"] for a, b in pairwise([*entries, {}]) if "epoch" in a and "epoch" not in b]  # of each run
        minutes.append(round(sum(last) / 60))
    assert f"{minutes[0]}, {minutes[1]} and {minutes[2]} minutes" in text


def test_public_names_are_in_the_reference():
    for package in ("hardware", "export", "qkformer"):
        page = (ROOT / f"docs/api/{package}.md").read_text()
        assert f"\n::: {package}\n" in page
        names = ast.parse((ROOT / f"{package}/__init__.pyi").read_text()).body[-1].value
        assert sorted(ast.literal_eval(names)) == sorted(__import__(package).__all__)


def test_words():
    """One word for one thing: integers, weights, images."""
    texts = {document.name: document.read_text() for document in DOCUMENTS}
    for command in GROUP.commands.values():
        texts[f"help of {command.name}"] = " ".join([command.help, *(p.help or "" for p in command.params)])
    for name, text in texts.items():
        assert not re.search(r"whole.number|\bpictures?\b", " ".join(text.split()), re.IGNORECASE), name
