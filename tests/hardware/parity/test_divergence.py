import copy
import json

import numpy as np
import pytest
from small_graphs import branched, whole_numbers

import hardware
from hardware.graph.populations import PopulationGraph
from hardware.parity.divergence import INHERITED, LOCAL, Side, explain, origin

INPUTS = whole_numbers(0, 4, 3, 1, 2, 2, low=-3, high=8)


def sides(change_graph=lambda graph: None, change_trace=lambda trace: None):
    """The branched graph, and a target that executes another or emits something else."""
    right, wrong = branched(), copy.deepcopy(branched())
    change_graph(wrong)
    found = hardware.interpret(wrong, INPUTS)
    change_trace(found)
    reference = Side(hardware.interpret(right, INPUTS), PopulationGraph(right), INPUTS)
    return reference, Side(found, PopulationGraph(wrong), INPUTS)


def explained(reference, target):
    report = hardware.compare(reference.trace, target.trace)
    differing = [population.name for population in report.populations if population.mismatches]
    return explain(reference, target, report.first_divergence, differing)


def heavier(graph):
    graph.nodes["conv"].weight = graph.nodes["conv"].weight + 4


def test_both_sides_of_the_neuron():
    reference, target = sides(heavier)
    found = explained(reference, target)
    first = found.divergence
    assert first.population == "first"
    steps, neuron = first.time_step + 1, (first.sample, *first.neuron)
    arriving = INPUTS[(slice(steps), *neuron)].astype(float)
    assert found.reference.current == tuple(5 * arriving + 2)
    assert found.target.current == tuple(9 * arriving + 2)
    assert found.reference.threshold == found.target.threshold == 9
    assert found.reference.membrane[-1] <= 9 < found.target.membrane[-1]
    assert found.reference.emitted[-1] == 0
    assert found.target.emitted[-1] == 1
    assert [cause.kind for cause in found.causes] == ["weight"]
    assert found.arrived == 1
    assert found.arrivals[0].source == "input"
    assert found.arrivals[0].weight == 5
    assert found.arrived_sum == 5 * arriving[-1]


def test_what_passes_an_error_on_inherits_it():
    reference, target = sides(heavier)
    origins = explained(reference, target).origins
    assert origins.pop("first") == LOCAL
    assert set(origins.values()) == {INHERITED}
    assert {"third", "last"} <= set(origins)


def test_a_second_error_of_its_own_is_local():
    def flip(trace):
        trace["third"][0, 0, 0, 0, 0] ^= 1

    reference, target = sides(heavier, flip)
    origins = explained(reference, target).origins
    assert origins["first"] == origins["third"] == LOCAL


def test_wrong_numbers_behind_an_error_are_local():
    """On its own spikes the layer does what its graph says; the golden input shows that the graph is wrong."""

    def change(graph):
        heavier(graph)
        graph.nodes["second"].v_threshold = graph.nodes["second"].v_threshold + 2

    reference, target = sides(change)
    assert origin(reference, target, "first") == origin(reference, target, "second") == LOCAL
    assert origin(reference, target, "third") == INHERITED


def test_an_unknown_cause():
    def flip(trace):
        trace["last"][2, 1, 0, 1, 0] ^= 1

    found = explained(*sides(change_trace=flip))
    assert found.divergence.neuron == (0, 1, 0)
    assert found.cause.kind == "unknown"
    assert found.reference.membrane == found.target.membrane
    assert found.reference.emitted[:-1] == found.target.emitted[:-1]


@pytest.mark.parametrize("name", ["output"])
def test_an_output_has_no_membrane(name):
    def change(trace):
        trace[name][1, 0, 0, 0, 0] += 1

    found = explained(*sides(change_trace=change))
    assert found.reference.membrane == ()
    assert found.reference.threshold is None
    assert found.target.emitted[-1] == found.reference.emitted[-1] + 1


def test_as_json():
    found = json.loads(json.dumps(explained(*sides(heavier)).to_dict()))
    assert set(found) >= {"origin", "causes", "reference", "target", "arrived", "arrivals", "origins"}
    assert found["reference"]["threshold"] == 9
    assert found["causes"][0]["kind"] == "weight"


def test_traces_that_are_packed():
    reference, target = sides(heavier)
    packed = hardware.PackedTrace()
    packed.update(target.trace)
    assert explained(reference, Side(packed, target.populations, INPUTS)) == explained(reference, target)
    np.testing.assert_array_equal(target.values["input"], INPUTS)
