"""`qkformer targets`, targets of other packages at the command line, and options that a target does not have."""

import json
from pathlib import Path

import pytest
from tiny_target import install

import hardware


@pytest.fixture
def site(monkeypatch, tmp_path_factory):
    """A folder to install packages in."""
    folder = tmp_path_factory.mktemp("site-packages")
    monkeypatch.syspath_prepend(folder)
    return folder


def rows(qkformer):
    result = qkformer("targets", "--json", "targets.json")
    assert result.status == 0
    found = {row["name"]: row for row in json.loads(Path("targets.json").read_text())["targets"]}
    assert all(name in result.out for name in found)
    return found


def test_the_table_has_every_target(qkformer):
    found = rows(qkformer)
    assert list(found) == list(hardware.targets())
    assert found["interpreter"]["available"] is True
    assert found["interpreter"]["reason"] is None
    assert {"sections", "stock_models"} <= set(found["lava"]["options"])


def test_a_target_of_another_package_runs(qkformer, graph, site):
    install(site)
    assert rows(qkformer)["tiny"]["available"] is True
    for target in "tiny", "interpreter":
        assert qkformer("simulate", graph, "--target", target, "--images", 1, "-o", f"{target}.trace").status == 0
    assert qkformer("compare", "tiny.trace", "interpreter.trace").status == 0
    assert qkformer("verify", "qkformer-digits", "--images", 1, "--against", "torch,tiny").status == 0
    assert "tiny" in json.loads(Path("runs/verify/parity.json").read_text())["accuracy"]


def test_a_broken_one_is_no_obstacle(qkformer, refused, graph, site):
    install(site, source="raise RuntimeError('no board is connected')")
    broken = rows(qkformer)["tiny"]
    assert broken["available"] is False
    assert "no board is connected" in broken["reason"]
    refused("simulate", graph, "--target", "tiny", "-o", "t.trace", names=["tiny", "no board is connected"])
    assert qkformer("simulate", graph, "--images", 1, "-o", "t.trace").status == 0


def test_two_of_one_name(refused, site):
    install(site, name="lava")
    refused("targets", names=["two targets are called 'lava'", "uninstall"])


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (("simulate", "any.nir", "-o", "t.trace", "--sections", "2"), ["interpreter", "sections"]),
        (("simulate", "any.nir", "-o", "t.trace", "--stock-models"), ["interpreter", "stock_models"]),
        (("verify", "qkformer-digits", "--against", "interpreter", "--sections", "2"), ["interpreter", "sections"]),
    ],
)
def test_an_option_of_another_target(command, names, refused):
    refused(*command, names=[*names, "has no option"])


def test_floating_point_for_a_target_without_options(refused, graph, site):
    install(site)
    refused(
        "simulate", graph, "--target", "tiny", "--floating-point", "-o", "t.trace", names=["tiny", "floating_point"]
    )
