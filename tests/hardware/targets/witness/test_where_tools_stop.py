"""Tools that do not read our graphs: a test fails once one no longer stops where docs/interoperability.json says."""

import importlib
import importlib.util
import json
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

from export import quantize, to_nir
from qkformer import load_checkpoint, load_digits

STOPS = json.loads((Path(__file__).parents[4] / "docs/interoperability.json").read_text())


@pytest.fixture(scope="module")
def digits():
    """The shipped digits as other tools are given it."""
    return to_nir(quantize(load_checkpoint("qkformer-digits")[0], load_digits("train")[0]), inline=True)


def sinabs(graph):
    importlib.import_module("sinabs.nir").from_nir(graph, batch_size=1)


def rockpool(graph):
    importlib.import_module("rockpool.nn.modules").from_nir(graph)


@pytest.mark.parametrize("load", [sinabs, rockpool], ids=lambda load: load.__name__)
def test_it_still_stops(load, digits, monkeypatch):
    name = load.__name__
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # Rockpool calls pip as it is imported
    require(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load(digits)
        except Exception as error:
            stop = error
        else:
            pytest.fail(f"{name} reads our graph: compare its spikes, and say so in docs/interoperability.json")
    assert type(stop).__name__ == STOPS[name]["error"], f"{name} stops elsewhere now: {stop!r}"
    assert re.search(STOPS[name]["message"], str(stop)), f"{name} stops elsewhere now: {stop!r}"


def test_nengo_has_no_importer():
    require("nengo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module("nengo")
        named = [module.name for module in pkgutil.walk_packages(package.__path__, "nengo.", onerror=lambda name: None)]
    assert not [name for name in named if "nir" in name.split(".")[-1].lower()], "nengo may read NIR now: try it"


def require(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed; it is no part of any extra")
