"""The registry: this package's targets, and those that other packages register."""

import numpy as np
import pytest
from small_graphs import Unknown, branched, chain
from tiny_target import install

import hardware
from hardware.errors import InputError, NotAvailableError
from hardware.targets.interface import check_options, require
from hardware.targets.registry import get_target, get_targets

INPUTS = np.arange(8).reshape(1, 2, 1, 2, 2)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Installs a package for the time of a test: installed(name="tiny", source=..., module=...)."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return lambda **what: install(folder, **what)


def test_every_target_says_what_a_user_must_know():
    for name, target in hardware.targets().items():
        assert target.name == name
        assert target.title
        assert target.description
        reason = target.available()
        assert reason is None or ("\n" not in reason and "pip install" in reason)
        assert all(isinstance(meaning, str) and meaning for meaning in target.options.values())


def test_what_another_package_registers_is_a_target(installed):
    assert "tiny" not in hardware.targets()
    installed()
    assert list(hardware.targets())[-1] == "tiny"
    tiny = get_target("tiny")
    require(tiny)
    trace = tiny.run(branched(), INPUTS)
    assert hardware.compare(hardware.interpret(branched(), INPUTS), trace).mismatches == 0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_package_that_nobody_has", "a_package_that_nobody_has"),
        ("1 / 0", "ZeroDivisionError"),
        ("", "TARGET"),
        ("class TARGET:\n    name = 'tiny'\n    run = None", "lacks available, check"),
    ],
)
def test_a_broken_one_is_listed_with_its_reason(source, reason, installed, refuses):
    installed(source=source)
    broken = hardware.targets()["tiny"]
    for part in ("'tiny'", "tiny_target_package:TARGET", reason):
        assert part in broken.available()
    with refuses(NotAvailableError, reason):
        require(broken)
    with refuses(NotAvailableError, reason):
        broken.run(branched(), INPUTS)
    assert hardware.targets()["interpreter"].available() is None


def test_two_of_one_name(installed, refuses):
    installed(name="interpreter")
    with refuses(InputError, "two targets are called 'interpreter'", "uninstall"):
        hardware.targets()


def test_an_unknown_name(refuses):
    with refuses(InputError, "no target is called 'loihi'", "interpreter, lava"):
        get_targets(["interpreter", "loihi"])
    assert list(get_targets(["lava", "interpreter"])) == ["lava", "interpreter"]


def test_an_option_of_another_target(refuses):
    with refuses(InputError, "'interpreter'", "'sections'", "floating_point"):
        check_options(get_target("interpreter"), {"sections": 2})
    check_options(get_target("lava"), {"sections": 2})


def test_a_graph_is_checked_before_it_runs():
    unknown = chain([2], Unknown([2]))
    for target in hardware.targets().values():
        with pytest.raises(hardware.GraphError, match="Unknown"):
            target.check(unknown)
