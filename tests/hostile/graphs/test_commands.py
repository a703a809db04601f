"""Commands on graphs and traces that are wrong in one way each: what the one line names."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from amount import random_examples
from hostile.case import Case, check_promises
from hostile.graphs.spoil import good, plain, spoil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import hardware
import qkformer
from hardware import SpikeTrace

SIMULATE = ("simulate", "g.nir", "-o", "t.trace", "--images", "2", "--data", "d.npz")
FLOATING = (*SIMULATE, "--floating-point")
SHIPPED = Path(qkformer.__file__).parent / "checkpoints/qkformer-digits.safetensors"
NODES = "node/nodes"


def write(folder):
    """The plain graph as g.nir, and images that it runs on."""
    np.savez(folder / "d.npz", images=np.full((2, 1, 8, 8), 0.5, np.float32), labels=np.arange(2))
    (folder / "g.nir").write_bytes(good("plain"))
    return folder / "g.nir"


def having(**values):
    """Writes g.nir with other values at some places, "node0__weight" for node0/weight; None takes it away."""

    def make(folder):
        with h5py.File(write(folder), "r+") as file:
            for place, value in values.items():
                path = place.replace("__", "/")
                path = path if path.startswith(("version", "node/")) else f"{NODES}/{path}"
                if path in file:
                    del file[path]
                if callable(value):
                    value(file, path)
                elif value is not None:
                    file[path] = value

    return make


def wrong(names, arguments=SIMULATE, **values):
    return Case(arguments, ("g.nir", *names), having(**values))


def meta(field, value, *names):
    return Case(SIMULATE, ("metadata", *names), having(**{f"node__metadata__{field}": value}))


def dataset(*arguments, **options):
    return lambda file, path: file.create_dataset(path, *arguments, **options)


FILES = {
    "a type that NIR does not have": wrong(["'node1'", "Foo", "LIF"], node1__type="Foo"),
    "no type": wrong(["'node1'", "None"], node1__type=None),
    "a type that is a number": wrong(["'node1'", "3"], node1__type=3),
    "a node that is a number": wrong(["'node1'", "not a group"], node1=3),
    "no nodes": wrong(["no group of nodes"], node__nodes=None),
    "no edges": wrong(["no edges"], node__edges=None),
    "edges of numbers": wrong(["edges"], node__edges=np.ones((2, 2))),
    "edges of three": wrong(["edges"], node__edges=[["a", "b", "c"]]),
    "an edge to nowhere": wrong(["'nowhere'"], node__edges=[["input", "nowhere"]]),
    "no graph": Case(SIMULATE, ("g.nir", "graph is missing"), lambda folder: h5py.File(folder / "g.nir", "w").close()),
    "groups": wrong(["'node0'", "groups", "1.5", "integer"], node0__groups=1.5),
    "groups of none": wrong(["'node0'", "groups", "0"], node0__groups=0),
    "groups that do not divide": Case(SIMULATE, ("'node0'", "2 outputs", "3 groups"), having(node0__groups=3)),
    "stride of fractions": wrong(["'node0'", "stride", "1.5"], node0__stride=np.array([1.5, 1.0])),
    "stride below 0": wrong(["'node0'", "stride", "-1"], node0__stride=-1),
    "stride of three": wrong(["'node0'", "stride", "(3,)", "2 values"], node0__stride=np.ones(3)),
    "dilation 0": wrong(["'node0'", "dilation", "0"], node0__dilation=0),
    "padding beyond the limit": wrong(["'node0'", "padding", "1024"], node0__padding=10**6),
    "padding below 0": wrong(["'node0'", "padding", "-1"], node0__padding=-1),
    "padding of a word": wrong(["'node0'", "padding", "'full'", "same"], node0__padding="full"),
    "kernel size of fractions": wrong(["'node2'", "kernel_size", "2.5"], node2__kernel_size=np.array([2.5, 2])),
    "kernel size beyond the map": wrong([], node2__kernel_size=np.array([60_000, 60_000])),
    "weights of texts": wrong(["'node0'", "weight", "object"], node0__weight=["a", "b"]),
    "weights that are complex": wrong(["weight", "complex"], node0__weight=np.full((2, 1, 3, 3), 1j)),
    "weights that are empty": wrong(["weight", "empty"], node0__weight=h5py.Empty("f4")),
    "weights without a value": wrong(["'node0'", "weight", "(0, 1, 3, 3)"], node0__weight=np.zeros((0, 1, 3, 3))),
    "weights of dimensions": wrong(["'node0'", "weight", "(2, 9)", "4 dim"], node0__weight=np.zeros((2, 9))),
    "weights of a number": wrong(["'node0'", "weight", "()"], node0__weight=1.0),
    "weights that are compound": wrong(["weight"], node0__weight=np.zeros(3, [("a", "f4"), ("b", "i4")])),
    "weights that are references": wrong(["weight"], node0__weight=dataset((2,), dtype=h5py.ref_dtype)),
    "weights that are ragged": wrong(["weight"], node0__weight=dataset((2,), dtype=h5py.vlen_dtype("i4"))),
    "weights that are NaN": Case(
        SIMULATE, ("node0", "weight nan"), having(node0__weight=np.full((2, 1, 3, 3), np.nan))
    ),
    "weights beyond integers": Case(SIMULATE, ("node0", "1e+30"), having(node0__weight=np.full((2, 1, 3, 3), 1e30))),
    "a bias of another shape": Case(SIMULATE, ("'node0'", "bias", "(3,)"), having(node0__bias=np.zeros(3))),
    "tau of 0": wrong(["'node1'", "tau", "above 0"], node1__tau=np.zeros((2, 8, 8))),
    "tau of NaN": wrong(["'node1'", "tau", "nan"], FLOATING, node1__tau=np.full((2, 8, 8), np.nan)),
    "thresholds of NaN": wrong(["v_threshold", "nan"], FLOATING, node1__v_threshold=np.full((2, 8, 8), np.nan)),
    "a gate of NaN": wrong(["'node5'", "threshold", "nan"], FLOATING, node5__threshold=np.full((2, 2, 2), np.nan)),
    "neurons of two shapes": wrong(["'node1'", "tau", "(2, 4)"], node1__tau=np.ones((2, 4))),
    "a shape that is empty": wrong(["'input'", "shape"], input__shape=np.zeros(0)),
    "a shape of fractions": wrong(["'input'", "shape", "1.5"], input__shape=np.array([1.5, 8, 8])),
    "a shape below 1": wrong(["'input'", "shape", "-8"], input__shape=np.array([1, -8, -8])),
    "a huge shape": wrong([], input__shape=np.array([1, 10**8, 10**8])),
    "a dimension to join that is none": wrong(["start_dim", "9"], node8__start_dim=9),
    "a parameter too many": wrong(["'node1'", "'foo'"], node1__foo=3),
    "metadata that is a number": wrong(["metadata"], node__metadata=3),
    "a version of the future": wrong(["version 99.0"], version="99.0"),
    "a version that is a number": wrong(["version 7"], version=7),
    "scale 0": meta("input_scale", 0.0, "input_scale is 0", "above 0"),
    "scale NaN": meta("input_scale", np.nan, "input_scale is nan"),
    "scale infinite": meta("input_scale", np.inf, "input_scale is inf"),
    "scale below 0": meta("logit_scale", -1.0, "logit_scale is -1"),
    "scale 0 of logits": meta("logit_scale", 0.0, "logit_scale is 0"),
    "scale complex": meta("input_scale", 1j, "complex128"),
    "scale as text": meta("logit_scale", "1", "'1'", "not a number"),
    "scale as a list": meta("logit_scale", np.ones(2), "not a number"),
    "time steps of fractions": meta("time_steps", 2.7, "2.7", "not an integer"),
    "time steps without end": meta("time_steps", 10**9, "time_steps", "1000000000"),
    "time steps 0": meta("time_steps", 0, "time_steps", "0"),
    "time steps as text": meta("time_steps", "four", "four"),
    "time steps missing": meta("time_steps", None, "time_steps"),
    "events 2": meta("events", 2, "events is 2"),
    "a shape of two": meta("input_shape", np.array([8, 8]), "input_shape"),
    "another shape than the input's": Case(
        SIMULATE, ("'input'", "(1, 8, 8)", "(1, 8, 7)"), having(node__metadata__input_shape=np.array([1, 8, 7]))
    ),
    "an Output of another name": Case(SIMULATE, (), lambda folder: renamed(folder), status=0),
    "texts that are one long text": Case(SIMULATE, ("g.nir", "texts beyond 64 MiB"), lambda folder: long_texts(folder)),
    "a folder": Case(SIMULATE, ("g.nir", "folder"), lambda folder: (folder / "g.nir").mkdir()),
    "a pipe": Case(SIMULATE, ("g.nir", "pipe"), lambda folder: os.mkfifo(folder / "g.nir")),
    "a device": Case(("simulate", "/dev/zero", "-o", "t.trace"), ("/dev/zero", "device")),
    "no file": Case(SIMULATE, ("g.nir", "no such file")),
    "an empty file": Case(SIMULATE, ("g.nir", "not a readable NIR file"), lambda folder: (folder / "g.nir").touch()),
    "a text": Case(SIMULATE, ("g.nir", "not a readable NIR file"), lambda folder: (folder / "g.nir").write_text("hi")),
}


def renamed(folder):
    write(folder)
    graph = plain()
    graph.nodes["scores"] = graph.nodes.pop("output")
    graph.edges = [(source, "scores" if target == "output" else target) for source, target in graph.edges]
    graph.metadata = hardware.Encoding("named", (1, 8, 8), time_steps=3).to_metadata()
    hardware.write_graph(graph, folder / "g.nir")


def long_texts(folder):
    """Two hundred thousand texts of 500 bytes, which lie in the file but a few times."""
    with h5py.File(write(folder), "r+") as file:
        del file["node/edges"]
        texts = file.create_dataset("node/edges", (100_000, 2), h5py.string_dtype(), chunks=True, compression="gzip")
        texts[: texts.chunks[0], : texts.chunks[1]] = "x" * 500
        _, one = texts.id.read_direct_chunk((0, 0))
        for chunk in np.ndindex(*(-(-n // c) for n, c in zip(texts.shape, texts.chunks, strict=True))):
            texts.id.write_direct_chunk(tuple(i * c for i, c in zip(chunk, texts.chunks, strict=True)), one)


@pytest.mark.parametrize("name", FILES)
def test_files(name, check):
    check(FILES[name])


def test_the_good_file_runs(command, tmp_path):
    write(tmp_path)
    for target in ("interpreter", "onnx"):
        outcome = command(*SIMULATE[:3], f"{target}.trace", *SIMULATE[4:], "--target", target)
        assert outcome.status == 0, outcome
    assert command("compare", "interpreter.trace", "onnx.trace").status == 0


def trace(path="b.trace", **populations):
    def make(folder):
        SpikeTrace({"a": np.ones((2, 2, 3), np.int8)}).save(folder / "a.trace")
        if path.endswith(".npz"):
            np.savez(folder / path, **populations)
        else:
            SpikeTrace(populations).save(folder / path)

    return make


def compared(path, make, *names):
    return Case(("compare", "a.trace", path), (path, *names), make)


def beside(make):
    def both(folder):
        trace()(folder)
        (folder / "b.trace").unlink()
        make(folder / "b.trace")

    return both


TRACES = {
    "objects": compared("b.npz", trace("b.npz", a=np.array([{}], object)), "object"),
    "texts": compared("b.npz", trace("b.npz", a=np.array(["x"])), "<U1"),
    "complex numbers": compared("b.npz", trace("b.npz", a=np.ones((2, 2, 3), complex)), "complex"),
    "another shape": compared("b.trace", trace(a=np.ones((2, 3, 3), np.int8)), "'a'", "(2, 3, 3)"),
    "another name": compared(
        "b.trace", trace(a=np.ones((2, 2, 3), np.int8), **{"[/x]": np.ones((2, 2, 3), np.int8)}), "[/x]"
    ),
    "names that a terminal obeys": compared(
        "b.trace", trace(a=np.ones((2, 2, 3), np.int8), **{"\x1b[31m\n": np.ones((2, 2, 3), np.int8)}), "\\x1b"
    ),
    "no population": compared("b.trace", trace(), "no population"),
    "a folder": compared("b.trace", beside(Path.mkdir), "folder"),
    "a pipe": compared("b.trace", beside(os.mkfifo), "regular file"),
    "a device": Case(("compare", "a.trace", "/dev/zero"), ("/dev/zero", "regular file"), trace()),
    "no file": Case(("compare", "a.trace", "c.trace"), ("c.trace", "no such file"), trace()),
    "an empty file": compared("b.trace", beside(Path.touch), "not a readable trace"),
}


@pytest.mark.parametrize("name", TRACES)
def test_traces(name, check):
    check(TRACES[name])


def checkpoint(parameter, value):
    def make(folder):
        tensors = load_file(SHIPPED)
        tensors[parameter] = tensors[parameter].clone()
        tensors[parameter].view(-1)[0] = value
        with safe_open(SHIPPED, "pt") as file:
            save_file(tensors, folder / "c.safetensors", metadata=file.metadata())
        (folder / "old.nir").write_text("the old file")

    return make


EXPORT = ("export", "c.safetensors", "-o", "old.nir", "--onnx", "old.onnx")
EXPORTS = {
    "a bias of the head": Case(EXPORT, ("head", "1e+30", "2147483647"), checkpoint("head.bias", 1e30)),
    "a weight": Case(EXPORT, ("proj_lif", "threshold -1"), checkpoint("patch_embed1.proj_conv.weight", 1e30)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", EXPORTS)
def test_exports(name, check, tmp_path):
    check(EXPORTS[name])
    assert (tmp_path / "old.nir").read_text() == "the old file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "old.nir"]


@pytest.mark.parametrize("target", ["interpreter", "onnx"])
@settings(random_examples(60, 6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["plain", "pool"]), data=st.data())
def test_random_files(target, command, tmp_path, name, data):
    write(tmp_path)
    spoil(data.draw, name, tmp_path / "g.nir")
    outcome = command(*SIMULATE, "--target", target)
    check_promises(outcome)
    assert "Warning" not in outcome.err
