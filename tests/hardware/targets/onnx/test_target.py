"""The target behind the interface of all targets: options, repeated runs, threads, errors in one line."""

import subprocess
import sys

import numpy as np
import pytest
from small_graphs import branched, chain, conv, integrate_and_fire, threshold

import hardware
from hardware import GraphError, InputError, NotAvailableError, RangeError
from hardware.targets.onnx import TARGET, session

INPUTS = np.random.default_rng(0).integers(-20, 21, (5, 7, 1, 2, 2), np.int8)


def equal(trace, wanted):
    return list(trace) == list(wanted) and all(np.array_equal(trace[name], wanted[name]) for name in wanted)


def test_it_is_registered():
    assert hardware.targets()["onnx"] is TARGET


@pytest.mark.parametrize("threads", [0, 1, 2, 3])
@pytest.mark.parametrize("piece", [1, 50, 10**6])
def test_pieces_and_threads_change_nothing(threads, piece, monkeypatch):
    monkeypatch.setattr(session, "PIECE", piece)
    network = TARGET.prepare(branched(), threads=threads)
    for samples in (1, 2, 7):
        inputs = INPUTS[:, :samples]
        assert equal(network(inputs), hardware.interpret(branched(), inputs))


def test_prepared_once_it_runs_what_comes():
    network = TARGET.prepare(branched())
    for inputs in (INPUTS, INPUTS[:2, :1], INPUTS.astype(np.int32) * 500, INPUTS.astype(float), INPUTS > 0):
        assert equal(network(inputs), hardware.interpret(branched(), inputs))


def test_outputs_only():
    wanted = hardware.interpret(branched(), INPUTS)
    assert equal(TARGET.prepare(branched(), outputs_only=True)(INPUTS), {"output": wanted["output"]})


def test_into_a_packed_trace_with_progress():
    calls, trace = [], hardware.PackedTrace()
    result = TARGET.run(branched(), INPUTS, into=trace, progress=lambda done, total: calls.append((done, total)))
    assert result is trace
    assert equal(trace, hardware.interpret(branched(), INPUTS))
    assert calls[0] == (0, 7)
    assert all(done < total == 7 for done, total in calls)


def test_option_that_it_does_not_have(refuses):
    with refuses(InputError, "'onnx'", "'sections'", "fused, chip, threads"):
        TARGET.run(branched(), INPUTS, sections=2)


def test_threads_that_are_none(refuses):
    with refuses(InputError, "threads", "-1"):
        TARGET.check(branched(), threads=-1)


def test_check_refuses_before_anything_runs(refuses):
    network = chain([1, 1, 1], conv([[[[64]]]], bias=[9001], size=(1, 1)), threshold([1, 1, 1]))
    with refuses(RangeError, "node1", "9001"):
        TARGET.check(network)
    network.edges.append(("node1", "node1"))
    with refuses(GraphError, "cycle"):
        TARGET.check(network)


def test_inputs_that_do_not_fit(refuses):
    with refuses(GraphError, "(2, 1, 3)", "[T, B, 1, 2, 2]"):
        TARGET.run(branched(), np.zeros((2, 1, 3)))


def test_membrane_that_reaches_the_limit_in_one_sample_of_many(refuses):
    network = TARGET.prepare(chain([1], integrate_and_fire([1], threshold=131071)), threads=2)
    inputs = np.zeros((2, 9, 1), np.int64)
    inputs[:, 7] = -131071
    with refuses(RangeError, "node0", "membrane at time step 1", "262142", "131072"):
        network(inputs)


def test_where_onnx_is_not_installed(without_onnx, refuses):
    with refuses(NotAvailableError, "ONNX is not installed", 'uv pip install -e ".[onnx]"'):
        TARGET.run(branched(), INPUTS)


def test_nothing_is_imported_before_it_runs():
    code = (
        "import hardware, sys; hardware.targets()['onnx'].available(); print({'onnx', 'onnxruntime'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
