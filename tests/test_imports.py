"""What may be absent, and what then still works; each in an interpreter of its own."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

WITHOUT = """
import sys


class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {absent}
        return None if absent else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""

SMALL_GRAPH = """
import nir, numpy as np
gate = nir.Threshold(np.full((1, 2, 2), 0.5))
graph = nir.NIRGraph.from_list(nir.Input(np.array([1, 2, 2])), gate)
inputs = np.eye(2, dtype=int).reshape(1, 1, 1, 2, 2)
"""

EVERY_NAME = """
for name in PACKAGE.__all__:
    getattr(PACKAGE, name)
"""


def run(code, *absent):
    """Run Python code, warnings being errors, as if these packages were not installed; returns what it printed."""
    program = WITHOUT.format(absent=absent) + code
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def loaded(packages, after):
    """Which of the packages are in sys.modules after some code has run."""
    return run(f"{after}\nprint(*sorted({set(packages)} & sys.modules.keys()))").split()


def test_interpreter_needs_neither_torch_nor_lava():
    code = f"import hardware\n{SMALL_GRAPH}\nprint(hardware.interpret(graph, inputs)['threshold'].ravel().tolist())"
    assert run(code, "torch", "lava", "qkformer", "export") == "[1, 0, 0, 1]\n"


def test_comparison_and_schedule_need_neither_torch_nor_lava():
    code = """
import hardware
trace = hardware.interpret(graph, inputs)
print(hardware.compare(trace, trace).mismatches, hardware.schedule(hardware.flatten(graph)).depth)
"""
    assert run(SMALL_GRAPH + code, "torch", "lava", "qkformer", "export") == "0 2\n"


def test_hardware_never_imports_the_models():
    code = f"import hardware, hardware.targets.lava\n{EVERY_NAME}\n{SMALL_GRAPH}\nhardware.interpret(graph, inputs)"
    assert loaded({"torch", "qkformer", "export", "lava", "matplotlib"}, code.replace("PACKAGE", "hardware")) == []


@pytest.mark.long
def test_simulation_never_imports_the_models(lava):
    code = f"import hardware\n{SMALL_GRAPH}\nhardware.lava.simulate(graph, inputs)"
    assert loaded({"torch", "qkformer", "export", "lava"}, code) == []


@pytest.mark.long
def test_export_needs_no_lava():
    run("import export\n" + EVERY_NAME.replace("PACKAGE", "export"), "lava")


def test_absent_packages_are_absent():
    """What the tests above are worth."""
    with pytest.raises(AssertionError, match="No module named 'torch'"):
        run("import export\nexport.quantize", "torch")


HEAVY = {"torch", "lava", "matplotlib", "scipy", "sklearn", "rich", "onnx", "onnxruntime", "nir", "h5py", "numpy"}
MOST_MODULES = 150  # an interpreter itself has about 60


@pytest.mark.parametrize("package", ["hardware", "export", "qkformer"])
def test_importing_a_package_costs_nothing(package):
    assert loaded(HEAVY, f"import {package}") == []
    assert int(run(f"import {package}, sys\nprint(len(sys.modules))")) < MOST_MODULES


COMMANDS = {
    "help": ["--help"],
    "help of a command": ["simulate", "--help"],
    "version": ["--version"],
    "targets": ["targets"],
    "no such command": ["fly"],
    "no such option": ["demo", "--fast"],
    "a missing argument": ["verify"],
    "a number that is none": ["verify", "qkformer-digits", "--images", "many"],
}


def test_help_lists_and_usage_errors_come_at_once():
    """One after the other in one interpreter, so the first that imports too much is named, and those after it."""
    code = f"""
import contextlib, io, sys
from qkformer.cli import main
for name, arguments in {COMMANDS}.items():
    sys.argv = ["qkformer", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main()
    print(name, sorted({HEAVY - {"rich"}} & sys.modules.keys()), sep=": ")  # rich prints the help
"""
    assert run(code).splitlines() == [f"{name}: []" for name in COMMANDS]


@pytest.mark.parametrize("package", ["hardware", "hardware.targets.lava", "export", "qkformer"])
def test_no_public_name_hides_a_module(package):
    """A function that is called like a module beside it takes the module's place once somebody asks for it."""
    package = importlib.import_module(package)
    folder = Path(package.__file__).parent
    beside = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert len(package.__all__) > 3
    for name in beside.intersection(package.__all__):
        assert isinstance(getattr(package, name), ModuleType), name


def test_simulation_without_lava_says_what_to_install():
    code = f"""
import hardware
{SMALL_GRAPH}
try:
    hardware.lava.simulate(graph, inputs)
except ImportError as error:
    print(error)
"""
    message = run(code, "lava")
    assert message.count("\n") == 1
    assert message.startswith("Lava is not installed: run")
    assert 'uv pip install -e ".[lava]"' in message


@pytest.mark.long
def test_models_need_nothing_that_training_does():
    code = "import sys, qkformer\nqkformer.create_model('qkformer-digits')\nqkformer.load_checkpoint('qkformer-digits')"
    packages = ("triton", "accelerate", "datasets", "kornia", "tensorboard")
    run(code, *packages)
    # torch looks for Triton by itself.
    assert loaded({"accelerate", "datasets", "kornia", "tensorboard"}, code) == []


@pytest.mark.parametrize("absent", ["accelerate", pytest.param("datasets", marks=pytest.mark.long)])
def test_what_training_needs_is_named(absent, tmp_path):
    code = f"""
import qkformer
data = "digits" if {absent!r} == "accelerate" else {str(tmp_path)!r}
try:
    qkformer.train("qkformer-digits", output="model", data=data, show_progress=False)
except ImportError as error:
    print(error)
"""
    assert run(code, absent).endswith('pip install "qkformer[train]"\n')
