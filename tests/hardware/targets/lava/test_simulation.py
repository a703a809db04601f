"""Lava's spikes are the interpreter's, however the network is spread over Lava's processes."""

import tempfile
from pathlib import Path

import nir
import numpy as np
import psutil
import pytest
from small_graphs import chain, conv, flatten_node, graph, integrate_and_fire, lif, pool, threshold, whole_numbers
from ways_in_lava import anyhow

import hardware
from hardware import GraphError, InputError, RangeError

SHAPE = (2, 5, 4)


def of_all_kinds():
    """Every node that Lava can run, also those that NIR's type check knows too little of."""
    nodes = {
        "groups": conv(whole_numbers(1, 4, 1, 3, 2), bias=[3, -2, 0, 7], padding=(1, 0), groups=2, size=(5, 4)),
        "a": lif((4, 5, 3), decay=1365, threshold=40),
        "dilated": conv(whole_numbers(2, 4, 4, 2, 2), dilation=2, padding=(1, 1), stride=(2, 1), size=(5, 3)),
        "b": integrate_and_fire((4, 3, 3), threshold=30),
        "scale": nir.Scale(whole_numbers(3, 4, 3, 3).astype(np.float32)),
        "c": lif((4, 3, 3), decay=3000, threshold=15),
        "sum": pool(nir.SumPool2d, (2, 1), (1, 1), (1, 0)),
        "after_sum": conv(whole_numbers(4, 4, 4, 2, 1), size=(4, 3)),
        "or": threshold((4, 3, 3)),
        "flat": flatten_node((4, 3, 3)),
        "linear": nir.Linear(whole_numbers(5, 6, 36).astype(np.float32)),
        "d": lif((6,), decay=4096, threshold=20),
        "affine": nir.Affine(whole_numbers(6, 3, 6).astype(np.float32), np.array([5, -100000, 7])),
    }
    edges = ["input -> groups -> a -> dilated -> b -> scale -> c -> sum -> after_sum -> or -> flat -> linear -> d"]
    edges += ["d -> affine -> output", "b -> or", "b -> or", "b -> flat", "c -> flat", "d -> affine"]
    return graph(SHAPE, nodes, edges, (3,), type_check=False)


@anyhow
def test_every_node(lava, how):
    """T = 3 is no power of two, and no reset phase is another's."""
    inputs = whole_numbers(0, 3, 4, *SHAPE)
    expected = hardware.interpret(of_all_kinds(), inputs)
    assert all(0 < expected[name].mean() < 1 for name in "abcd")
    found = hardware.lava.simulate(of_all_kinds(), inputs, **how)
    assert hardware.compare(expected, found).first_divergence is None
    assert {name: values.dtype for name, values in found.items()} == {
        name: values.dtype for name, values in expected.items()
    }


def with_a_memory():
    """Biases that fire by themselves, and membranes that keep all: whatever leaks between images shows."""
    nodes = {
        "conv": conv(whole_numbers(1, 3, 2, 3, 3), bias=[9, -9, 5], padding=1, size=(5, 4)),
        "a": integrate_and_fire((3, 5, 4), threshold=60),
        "mix": conv(whole_numbers(2, 3, 3, 1, 1), bias=[7, 3, 1], size=(5, 4)),
        "b": integrate_and_fire((3, 5, 4), threshold=20),
        "both": conv(whole_numbers(3, 3, 3, 1, 1), size=(5, 4)),
        "c": lif((3, 5, 4), decay=1024, threshold=9),
    }
    edges = ["input -> conv -> a -> mix -> b -> both -> c -> output", "a -> both", "a -> c"]
    return graph(SHAPE, nodes, edges, (3, 5, 4))


@anyhow
@pytest.mark.parametrize("time_steps", [pytest.param(1, marks=pytest.mark.long), 5])
def test_images_in_a_stream_do_not_touch_each_other(lava, how, time_steps):
    inputs = whole_numbers(0, time_steps, 3, *SHAPE)
    stream = hardware.lava.simulate(with_a_memory(), inputs, **how)
    for sample in range(3):
        alone = hardware.interpret(with_a_memory(), inputs[:, sample : sample + 1])
        of_stream = {name: values[:, sample : sample + 1] for name, values in stream.items()}
        assert hardware.compare(alone, of_stream).first_divergence is None
    assert all(stream[name].any() for name in "abc")


@pytest.mark.parametrize(
    "sections", [pytest.param(1, marks=pytest.mark.long), pytest.param(50, marks=pytest.mark.long)]
)
def test_any_number_of_sections(sections, lava):
    inputs = whole_numbers(0, 2, 1, *SHAPE)
    expected = hardware.interpret(with_a_memory(), inputs)
    trace = hardware.lava.simulate(with_a_memory(), inputs, sections=sections)
    assert hardware.compare(expected, trace).first_divergence is None


@pytest.mark.long
def test_longest_delay(lava):
    """A spike waits 62 steps for the other end of a chain of gates."""
    nodes = {f"n{i}": threshold([1]) for i in range(63)}
    network = graph(
        [1], nodes | {"and": threshold([1], 1.5)}, [" -> ".join(["input", *nodes, "and", "output"]), "n0 -> and"]
    )
    inputs = np.array([1, 0, 1, 1, 0, 1]).reshape(3, 2, 1)
    trace = hardware.lava.simulate(network, inputs)
    np.testing.assert_array_equal(trace["and"], inputs)


def test_progress_and_nothing_left_behind(lava, monkeypatch):
    make, folders, calls, present = tempfile.mkdtemp, [], [], []

    def noted(*arguments, **options):
        folders.append(Path(make(*arguments, **options)))
        return str(folders[-1])

    def segments():
        return [path for folder in folders for path in Path("/dev/shm").glob(f"{folder.name}*")]

    def progress(done, steps):
        calls.append((done, steps))
        present.append(bool(segments() and psutil.Process().children()))

    monkeypatch.setattr(tempfile, "mkdtemp", noted)
    hardware.lava.simulate(chain([1], lif([1])), np.ones((4, 40, 1)), progress=progress)
    assert calls == [(min(done, 162), 162) for done in range(4, 165, 4)]
    assert any(present)  # at the last calls they may be gone
    assert segments() == []
    assert psutil.Process().children(recursive=True) == []
    assert not any(folder.exists() for folder in folders)


@anyhow
@pytest.mark.parametrize(
    ("node", "kind", "parts"),
    [
        (nir.LIF(*(np.full((1, 2, 2), v) for v in (2e-4, 2.0, 0.0, 2.5, 0.0))), GraphError, ["node0", "2.5"]),
        (pool(nir.AvgPool2d, (1, 1), (1, 1)), GraphError, ["'node0'", "AvgPool2d"]),
        (nir.Scale(np.full((1, 2, 2), 129)), RangeError, ["node0", "129", "-128 .. 127"]),
        (threshold([1, 2, 3]), GraphError, ["'node0'", "(1, 2, 3)", "(1, 2, 2)"]),
    ],
)  # fmt: skip
def test_networks_that_lava_cannot_hold(refuses, how, node, kind, parts):
    """Refused before any process starts: Lava need not even be there."""
    with refuses(kind, *parts):
        hardware.lava.simulate(chain([1, 2, 2], node, type_check=False), np.zeros((1, 1, 1, 2, 2)), **how)


@pytest.mark.parametrize(
    ("inputs", "kind", "parts"),
    [
        (np.zeros((2, 1, 1)), GraphError, ["(2, 1, 1)", "[T, B, 1, 2, 2]"]),
        (np.zeros((0, 1, 1, 2, 2)), GraphError, ["at least one time step"]),
        (np.full((1, 1, 1, 2, 2), np.nan), RangeError, ["input", "nan"]),
    ],
)
def test_inputs_that_do_not_fit(refuses, inputs, kind, parts):
    with refuses(kind, *parts):
        hardware.lava.simulate(chain([1, 2, 2], lif([1, 2, 2])), inputs)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"sections": 2, "bit_accurate": False}, "sections is 2"),
        ({"sections": -1}, "sections is -1"),
        ({"sections": 2, "stock_models": True}, "sections is 2"),
    ],
)
def test_options_that_do_not_fit(refuses, options, part):
    with refuses(InputError, part):
        hardware.lava.simulate(chain([1], lif([1])), np.zeros((1, 1, 1)), **options)


@pytest.mark.long
def test_files_of_the_current_folder_are_not_run(lava, tmp_path, monkeypatch):
    """Neither as modules of the standard library nor as this package."""
    (tmp_path / "hardware").mkdir()
    for name in ("json.py", "random.py", "hardware/__init__.py"):
        (tmp_path / name).write_text("open('executed', 'w')\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    network = chain([1], lif([1]))
    inputs = np.ones((2, 1, 1))
    assert (
        hardware.compare(hardware.interpret(network, inputs), hardware.lava.simulate(network, inputs)).mismatches == 0
    )
    assert not (tmp_path / "executed").exists()
