"""Another tool's NIR file on the command line: exported, simulated, verified; and what is wrong with it."""

import json

import h5py
import nir
import numpy as np
import pytest

import export
import hardware
from hardware.targets.onnx.target import OnnxTarget

RNG = np.random.default_rng(0)


def values(count, value):
    return np.full(count, float(value))


@pytest.fixture
def float_file(tmp_path):
    """Two layers with a skip, in snnTorch's convention: r = tau / time_step."""
    lif = nir.LIF(
        tau=values(4, 3e-4), r=values(4, 3.0), v_leak=values(4, 0), v_threshold=values(4, 1), v_reset=values(4, 0)
    )
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "fc1": nir.Affine(RNG.normal(size=(4, 6)), RNG.normal(size=4) * 0.1),
        "lif1": lif,
        "fc2": nir.Linear(RNG.normal(size=(4, 4))),
        "lif2": lif,
        "output": nir.Output({"output": np.array([4])}),
    }
    edges = [("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"), ("lif1", "lif2"), ("lif2", "output")]
    nir.write(tmp_path / "float.nir", nir.NIRGraph(nodes, edges))
    np.savez(tmp_path / "in.npz", inputs=(RNG.random((12, 5, 6)) < 0.4).astype(np.int8))
    return "float.nir"


def test_exported_and_simulated(qkformer, float_file, tmp_path):
    done = qkformer("export", float_file, "-o", "int.nir", "--inputs", "in.npz", "--json", "e.json")
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["certified"] is True
    assert [layer["population"] for layer in found["certificate"]] == ["lif1", "lif2"]
    assert "note: NIR has no field for a reset by subtraction" in done.out
    done = qkformer("simulate", "int.nir", "--inputs", "in.npz", "-o", "a.trace")
    assert done.status == 0, done.err
    trace = hardware.SpikeTrace.load(tmp_path / "a.trace")
    assert {name: spikes.shape for name, spikes in trace.items()} == dict.fromkeys(
        ["lif1", "lif2", "output"], (12, 5, 4)
    )
    assert trace["lif1"].any()


def test_layers_in_a_row_are_written_for_netx(qkformer, float_file, tmp_path):
    refused = qkformer("export", float_file, "-o", "int.nir", "--inputs", "in.npz", "--netx", "int.net")
    assert refused.status == 2
    assert "'lif1' is read by fc2 and lif2_from_lif1; netx has layers in a row only" in refused.err
    assert not (tmp_path / "int.net").exists()
    graph = hardware.read_graph(tmp_path / float_file)
    graph.edges.remove(("lif1", "lif2"))
    nir.write(tmp_path / "row.nir", graph)
    done = qkformer("export", "row.nir", "-o", "int.nir", "--inputs", "in.npz", "--netx", "int.net", "--json", "e.json")
    assert done.status == 0, done.err
    assert json.loads((tmp_path / "e.json").read_text())["netx"] == "int.net"
    with h5py.File(tmp_path / "int.net") as file:
        assert len(file["layer"]) == 3
        assert abs(file["layer/1/weight"][()]).max() == 127


def test_its_own_numbers_are_run_in_floating_point(qkformer, float_file, tmp_path):
    done = qkformer("simulate", float_file, "--inputs", "in.npz", "--time-steps", "7", "-o", "a.trace")
    assert done.status == 0, done.err
    assert "run in floating point" in done.out
    assert hardware.SpikeTrace.load(tmp_path / "a.trace")["lif2"].shape == (7, 5, 4)
    refused = qkformer("simulate", float_file, "--inputs", "in.npz", "-o", "b.trace", "--target", "onnx")
    assert refused.status == 2
    assert "floating_point" in refused.err


def test_verified(qkformer, float_file, tmp_path):
    done = qkformer("verify", float_file, "--inputs", "in.npz", "--against", "torch,interpreter", "--report", "r")
    assert done.status == 0, done.out + done.err
    parity = json.loads((tmp_path / "r/parity.json").read_text())
    assert parity["mismatches"] == 0
    assert parity["compared"] > 0
    steps = {step["stage"]: step for step in parity["ladder"]}
    assert steps["fixed"]["against"] == "float"
    assert 1 - steps["fixed"]["mismatches"] / steps["fixed"]["compared"] > 0.5
    assert steps["interpreter"]["exact"]
    assert [flips["name"] for flips in parity["flips"]] == ["lif1", "lif2"]
    assert all(flips["unexplained"] == 0 for flips in parity["flips"])


def test_images_without_time_are_shown_at_each_step(qkformer, float_file, tmp_path):
    np.savez(tmp_path / "still.npz", inputs=RNG.random((5, 6)))
    assert (
        "say how long with --time-steps" in qkformer("export", float_file, "-o", "i.nir", "--inputs", "still.npz").err
    )
    done = qkformer("export", float_file, "-o", "i.nir", "--inputs", "still.npz", "--time-steps", "9")
    assert done.status == 0, done.err


WRONG = {
    "no inputs": (("export", "float.nir", "-o", "i.nir"), "--inputs FILE.npz"),
    "a file that is not there": (("export", "no.nir", "-o", "i.nir", "--inputs", "in.npz"), "no.nir: no such file"),
    "inputs that are not there": (("export", "float.nir", "-o", "i.nir", "--inputs", "no.npz"), "no.npz: no such file"),
    "the output is an input": (("export", "float.nir", "-o", "in.npz", "--inputs", "in.npz"), "in.npz"),
    "a time step of 0": (
        ("export", "float.nir", "-o", "i.nir", "--inputs", "in.npz", "--time-step", "0"),
        "time_step is 0",
    ),
    "a time step of an hour": (
        ("export", "float.nir", "-o", "i.nir", "--inputs", "in.npz", "--time-step", "3600"),
        "'lif1': tau is 0.0003 s, less than the time step",
    ),
    "more time steps than there are": (
        ("simulate", "float.nir", "-o", "a.trace", "--inputs", "in.npz", "--time-steps", "99"),
        "12 time steps",
    ),
    "inputs of a checkpoint": (("export", "qkformer-digits", "-o", "i.nir", "--inputs", "in.npz"), "--inputs"),
    "inputs of another shape": (("export", "float.nir", "-o", "i.nir", "--inputs", "other.npz"), "[12, 5, 7]"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_one_line(wrong, qkformer, float_file, tmp_path):
    np.savez(tmp_path / "other.npz", inputs=np.zeros((12, 5, 7)))
    arguments, named = WRONG[wrong]
    done = qkformer(*arguments)
    assert done.status == 2
    assert named in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1


def test_integers_are_verified_as_they_are(qkformer, float_file, tmp_path):
    """The file says what 1 is worth: inputs of real values are encoded as those that it was quantized for."""
    np.savez(tmp_path / "real.npz", inputs=RNG.normal(size=(9, 4, 6)))
    assert qkformer("export", float_file, "-o", "int.nir", "--inputs", "real.npz").status == 0
    against = "torch,interpreter,onnx"
    done = qkformer("verify", "int.nir", "--inputs", "real.npz", "--against", against, "--report", "r")
    assert done.status == 0, done.out + done.err
    assert "of integers already: the interpreter is the reference" in done.out
    found = json.loads((tmp_path / "r/parity.json").read_text())
    assert [(step["stage"], step["against"], step["exact"]) for step in found["ladder"]] == [
        ("read back", "interpreter", True),
        ("onnx", "read back", True),
    ]
    assert (found["mismatches"], found["images"], found["time_steps"]) == (0, 4, 9)
    assert found["compared"] == 2 * 9 * 4 * (4 + 4 + 4)
    whole = qkformer("verify", float_file, "--inputs", "real.npz", "--against", "interpreter", "--report", "w")
    assert whole.status == 0
    done = qkformer("simulate", "int.nir", "--inputs", "real.npz", "-o", "a.trace")
    assert done.status == 0, done.err
    fixed = export.quantize(export.from_nir(hardware.read_graph(tmp_path / float_file)), np.load("real.npz")["inputs"])
    expected = export.reference_trace(fixed, np.load("real.npz")["inputs"])
    assert hardware.compare(expected, hardware.SpikeTrace.load(tmp_path / "a.trace")).mismatches == 0


def test_a_wrong_spike_of_integers_is_explained(qkformer, float_file, tmp_path, monkeypatch):
    """Status 1, and a bundle that reproduces it."""
    assert qkformer("export", float_file, "-o", "int.nir", "--inputs", "in.npz").status == 0
    run = OnnxTarget.run

    def wrong(self, graph, inputs, **options):
        trace = run(self, graph, inputs, **options)
        values = np.array(trace["lif1"])
        values[3, 2, 1] ^= 1
        trace["lif1"] = values
        return trace

    monkeypatch.setattr(OnnxTarget, "run", wrong)
    done = qkformer("verify", "int.nir", "--inputs", "in.npz", "--against", "onnx", "--report", "r")
    assert done.status == 1, done.out + done.err
    found = json.loads((tmp_path / "r/parity.json").read_text())
    assert found["mismatches"] == 1
    first = found["first_divergence"]
    assert (first["population"], first["time_step"], first["sample"], first["neuron"]) == ("lif1", 3, 2, [1])
    assert found["explanation"]
    assert (tmp_path / "r/bundle/reproduce.py").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("input_scale", 0.0), ("input_scale", "much"), ("output_scale", np.inf), ("output_scale", [1, 2])],
)
def test_scales_that_are_none(qkformer, float_file, tmp_path, field, value):
    assert qkformer("export", float_file, "-o", "int.nir", "--inputs", "in.npz").status == 0
    graph = hardware.read_graph(tmp_path / "int.nir")
    graph.metadata[field] = value
    nir.write(tmp_path / "int.nir", graph)
    done = qkformer("simulate", "int.nir", "--inputs", "in.npz", "-o", "a.trace")
    assert done.status == 2
    assert f"metadata says that {field} is" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("neuron", "asked"),
    [
        (nir.LIF(*(values(2, value) for value in (1e-2, 1, 1.2, 1, 0))), ""),  # v_leak, v_threshold, v_reset at the end
        (nir.IF(r=values(2, 1), v_threshold=values(2, 3), v_reset=values(2, 0)), "node 's' has r = 1"),
    ],
    ids=["no chip's neuron", "silent as it stands"],
)
def test_whole_weights_do_not_make_an_integer_network(qkformer, tmp_path, neuron, asked):
    """What its neurons mean is asked, or run in floating point, as of any other float network."""
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    nodes = {**ends, "w": nir.Linear(np.eye(2)), "s": neuron}
    nir.write(tmp_path / "f.nir", nir.NIRGraph(nodes, [("input", "w"), ("w", "s"), ("s", "output")]))
    np.savez(tmp_path / "x.npz", inputs=np.ones((9, 1, 2), int))
    for command in (("simulate", "f.nir", "-o", "a.trace"), ("verify", "f.nir", "--against", "interpreter")):
        done = qkformer(*command, "--inputs", "x.npz")
        assert (done.status, asked in done.err) == (2 if asked else 0, True), done.err
        assert "integers already" not in done.out
