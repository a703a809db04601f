import numpy as np
import pytest

import hardware
from hardware import TraceError
from hardware.errors import InputError


def trace(**changes):
    """Two populations [T = 3, B = 2, ...]; changes: population -> {index: value}."""
    populations = {"first": np.zeros((3, 2, 4), np.int8), "second": np.zeros((3, 2, 1, 2, 2), np.int8)}
    populations["first"][1, :, 2] = 1
    for name, values in changes.items():
        for index, value in values.items():
            populations[name][index] = value
    return hardware.SpikeTrace(populations)


def test_equal_traces():
    report = hardware.compare(trace(), trace())
    assert report.mismatches == 0
    assert report.compared == 24 + 24
    assert report.first_divergence is None
    first, second = report.populations
    assert (first.name, first.neurons, first.spikes, first.compared, first.mismatches, first.steps) == (
        "first", 4, 2, 24, 0, 6,
    )  # fmt: skip
    assert first.firing_rate == 2 / 24
    assert (second.name, second.neurons, second.spikes) == ("second", 4, 0)


def test_every_different_value_counts():
    changed = trace(first={(0, 0, 0): 1, (2, 1, 3): 1}, second={(1, 0, 0, 1, 1): 1})
    report = hardware.compare(trace(), changed)
    assert report.mismatches == 3
    assert [p.mismatches for p in report.populations] == [2, 1]
    assert [p.spikes for p in report.populations] == [2, 0]  # the reference's


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"second": {(0, 0, 0, 0, 0): 1}, "first": {(2, 1, 3): 1}}, ("first", 2, 1, (3,), 0, 1)),
        ({"first": {(1, 1, 2): 0, (2, 0, 0): 1}}, ("first", 1, 1, (2,), 1, 0)),
        ({"first": {(1, 1, 0): 1, (1, 0, 3): 1}}, ("first", 1, 0, (3,), 0, 1)),
        ({"second": {(1, 0, 0, 1, 1): 1, (1, 0, 0, 1, 0): 1}}, ("second", 1, 0, (0, 1, 0), 0, 1)),
    ],
)
def test_first_divergence_is_the_first_in_execution_order(changes, where):
    """Population, then time step, sample and neuron, whatever order the reference is in."""
    reference = dict(reversed(list(trace().items())))
    found = hardware.compare(reference, trace(**changes)).first_divergence
    assert (found.population, found.time_step, found.sample, found.neuron, found.reference, found.value) == where


def test_divergence_in_words():
    report = hardware.compare(trace(), trace(second={(1, 0, 0, 1, 0): 1}))
    assert str(report.first_divergence) == (
        "second, sample 0, time step 1, neuron [0, 1, 0]: 0 in the reference, 1 here"
    )


def test_other_types_of_the_same_values_are_equal():
    other = hardware.SpikeTrace({name: values.astype(np.float32) for name, values in trace().items()})
    assert hardware.compare(trace(), other).mismatches == 0


@pytest.mark.parametrize(
    ("wanted", "found", "shown"),
    [(0.25, 0.5, "0.25 in the reference, 0.5 here"), (2.0, 3, "2 in the reference, 3 here"), (0, np.nan, "nan here")],
)
def test_fractions_are_shown_as_they_are(wanted, found, shown):
    sides = (hardware.SpikeTrace({"output": np.full((1, 1, 1), value)}) for value in (wanted, found))
    assert shown in str(hardware.compare(*sides).first_divergence)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_without_samples(refuses, shape):
    flat = {"first": np.zeros(shape)}
    with refuses(TraceError, "'first'", str(shape), "[T, B, ...]"):
        hardware.compare(flat, flat)


def test_population_that_only_one_has(refuses):
    with_third = trace() | {"third": np.zeros((3, 2, 1))}
    with refuses(TraceError, "only in the trace: third"):
        hardware.compare(trace(), with_third)
    with refuses(TraceError, "only in the reference: third"):
        hardware.compare(with_third, trace())


def test_an_error_names_the_two_and_a_few_populations(refuses):
    more = trace() | {f"layer{number}": np.zeros((3, 2, 1)) for number in range(7)}
    with refuses(TraceError, "only in a.trace: layer0, layer1, layer2, layer3, layer4 and 2 more;"):
        hardware.compare(more, trace(), names=("a.trace", "b.trace"))
    with refuses(TraceError, "'first' is (3, 2, 4) in a.trace and (1, 1, 1) in b.trace"):
        hardware.compare(trace(), trace() | {"first": np.zeros((1, 1, 1))}, names=("a.trace", "b.trace"))


def test_progress():
    seen = []
    hardware.compare(trace(), trace(), progress=lambda *done: seen.append(done))
    assert seen == [(0, 2), (1, 2)]


@pytest.mark.parametrize("shape", [(3, 2, 5), (2, 3, 4), (3, 1, 4), (1, 2, 4), (3, 2, 4, 1)])
def test_population_of_another_shape(refuses, shape):
    with refuses(TraceError, "'first'", "(3, 2, 4)", str(shape)):
        hardware.compare(trace(), trace() | {"first": np.zeros(shape, np.int8)})


def test_combine():
    right, wrong = hardware.compare(trace(), trace()), hardware.compare(trace(), trace(first={(0, 0, 0): 1}))
    report = hardware.combine({"interpreter": right, "lava": wrong}, accuracy={"float": 0.5}, versions={"nir": "1"})
    assert report.mismatches == 1
    assert report.compared == 2 * 48
    assert [p.spikes for p in report.populations] == [2, 0]
    assert report.first_divergence.target == "lava"
    assert str(report.first_divergence).startswith("lava: first, sample 0")
    assert hardware.combine({"interpreter": right}).first_divergence is None


def test_combine_nothing(refuses):
    with refuses(InputError, "no target"):
        hardware.combine({})
