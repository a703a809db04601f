"""The worker runs no file of the folder that the user stands in, whatever lies there and whatever PYTHONPATH says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLANTED = ("json", "random", "sitecustomize", "usercustomize", "signal", "selectors", "secrets", "scipy", "networkx")
FOLDERS = ("hardware", "numpy", "lava", "multiprocessing")
PLANT = "import os; open(os.environ['RAN'], 'a').write(__name__ + '\\n'); raise ImportError('planted')"
OLD = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python"))

CALLER = """
import sys; sys.path[:] = [entry for entry in sys.path if entry and entry != "."]
import os, numpy as np
from small_graphs import branched
from hardware.targets.lava.simulation import simulate
os.chdir(sys.argv[1])
if sys.argv[2] != "none":
    os.environ["PYTHONPATH"] = sys.argv[2].replace("PACKAGES", os.environ["PYTHONPATH"])
simulate(branched(), np.ones((2, 1, 1, 2, 2), int), sections=1)
"""
PATHS = ["none", "", ".", ":", ".:PACKAGES", "PACKAGES::", "./:PACKAGES:../planted"]


def plant(folder):
    folder.mkdir()
    for name in PLANTED:
        (folder / f"{name}.py").write_text(PLANT)
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(PLANT)


@pytest.mark.parametrize("path", [pytest.param(p, marks=[] if p == ".:PACKAGES" else pytest.mark.long) for p in PATHS])
def test_worker(path, tmp_path, lava):
    plant(tmp_path / "planted")
    (tmp_path / "caller.py").write_text(CALLER)
    packages = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, tmp_path / "caller.py", tmp_path / "planted", path],
        env=os.environ | {"PYTHONPATH": packages, "RAN": str(tmp_path / "ran")},
        capture_output=True,
        text=True,
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert done.returncode == 0, done.stderr


OF_OLD = """
import os, sys
from hardware.targets.lava import simulation, supervise
python, planted, path = sys.argv[1:]
os.chdir(planted)
os.environ["PYTHONPATH"] = path
clean, _, _ = simulation.WORKER.rpartition("; from ")
code = clean + "; import json, random, signal, selectors, multiprocessing.resource_tracker"
supervise.run_supervised([python, "-c", code, str(simulation.PACKAGES), "none"])
"""


@pytest.mark.skipif(not OLD, reason="Python 3.10 is not at hand")
@pytest.mark.parametrize("path", ["", ".", ":", ".:/nowhere"])
def test_python_3_10(path, tmp_path):
    """Which has no -P: the worker up to its first imports, without Lava."""
    plant(tmp_path / "planted")
    done = subprocess.run(
        [sys.executable, "-c", OF_OLD, OLD[-1], tmp_path / "planted", path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RAN": str(tmp_path / "ran")},
        capture_output=True,
        text=True,
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert done.returncode == 0, done.stderr
