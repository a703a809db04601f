"""Checkpoints that no writer of ours left: of every sort, refused in one line that names the file and what is wrong."""

import collections
import os
import zipfile

import pytest
import torch
from hostile.case import MOST_MEMORY, Case
from hostile.checkpoints.files import (
    Call,
    Storage,
    described,
    dumps,
    tensor,
    write_header,
    write_legacy,
    write_weights,
    write_zip,
)

from qkformer import CheckpointError, inspect_checkpoint, load_checkpoint

HEAD = "head.weight"
DEEP = "[" * 100_000 + "]" * 100_000
NESTED = '{"a":' * 60 + "1" + "}" * 60
FIELDS = {"configuration": "config", "metadata": "metadata"}
LONG = "9" * 5000


def weights(name, *names, change):
    """A safetensors file whose weights were changed."""
    return Case(("info", "x"), ("x", name, *names), lambda folder: write_weights(folder / "x", change))


def put(value):
    return lambda tensors: tensors.update({HEAD: value})


def config(field, *names, **changes):
    return Case(
        ("info", "x"), ("x", field, *names), lambda folder: write_weights(folder / "x", config=described(**changes))
    )


def text(kind, written, *names):
    """A safetensors file whose configuration or metadata is this text."""
    return Case(
        ("info", "x"), ("x", kind, *names), lambda folder: write_weights(folder / "x", **{FIELDS[kind]: written})
    )


def archive(contents, *names, **options):
    return Case(("info", "x.pth"), ("x.pth", *names), lambda folder: write_zip(folder / "x.pth", contents, **options))


def legacy(contents, *names, **options):
    return Case(
        ("info", "x.pth"), ("x.pth", *names), lambda folder: write_legacy(folder / "x.pth", contents, **options)
    )


def header(contents, *names, **options):
    return Case(("info", "x"), ("x", *names), lambda folder: write_header(folder / "x", contents, **options))


def filled(value):
    def change(tensors):
        tensors[HEAD][3, 2] = value

    return change


def extended(contents):
    stages = described()["stages"]
    stages[0] = {**stages[0], **contents}
    return stages


def layered(contents):
    embed = described()["stages"][0]["embed"]
    embed["layers"][0] = {**embed["layers"][0], **contents}
    return extended({"embed": embed})


def entry(shape, *offsets):
    return {"dtype": "F32", "shape": shape, "data_offsets": list(offsets)}


INDEX = tensor(2, (1, 1), key="1", kind=torch.LongStorage)
FOUR = {"0": b"\0" * 16}

CASES = {
    "weights: complex": weights(HEAD, "complex64", change=put(torch.zeros(10, 128, dtype=torch.complex64))),
    "weights: bool": weights(HEAD, "bool", change=put(torch.zeros(10, 128, dtype=torch.bool))),
    "weights: int8": weights(HEAD, "int8", change=put(torch.zeros(10, 128, dtype=torch.int8))),
    "weights: float8": weights(HEAD, "float8", change=put(torch.zeros(10, 128).to(torch.float8_e4m3fn))),
    "weights: float64": weights(
        HEAD, "float64", "float32", change=put(torch.full((10, 128), 0.1, dtype=torch.float64))
    ),
    "weights: a counter that is not whole": weights(
        "num_batches_tracked",
        "float32",
        change=lambda tensors: tensors.update({"patch_embed1.proj_bn.num_batches_tracked": torch.tensor(1.5)}),
    ),
    "weights: NaN": weights(HEAD, "1 values", "NaN", change=filled(torch.nan)),
    "weights: infinite": weights(HEAD, "infinite", change=filled(-torch.inf)),
    "weights: a negative variance": weights(
        "running_var", "-1", change=lambda tensors: tensors["patch_embed1.proj_bn.running_var"].fill_(-1)
    ),
    "weights: other shapes than the configuration": config("of another shape", "head.bias", num_classes=11),
    "weights: of an enormous configuration": config("missing", stages=extended({"depth": 255})),
    "config: half a time step": config("time_steps", "2.7", "at most 1,024", time_steps=2.7),
    "config: true time steps": config("time_steps", "True", "integer", time_steps=True),
    "config: time steps in words": config("time_steps", "'4'", "integer", time_steps="4"),
    "config: no end of time steps": config("time_steps", "1000000000", "at most 1,024", time_steps=10**9),
    "config: a long number": config("time_steps", "an integer of", "bits", time_steps=10**4000),
    "config: NaN tau": config("tau", "nan", "finite", tau=float("nan")),
    "config: infinite tau": config("tau", "inf", "finite", tau=float("inf")),
    "config: negative tau": config("tau", "-2", "at least 1", tau=-2),
    "config: no threshold": config("v_threshold", "0", v_threshold=0),
    "config: a list of thresholds": config("v_threshold", "[1.0]", v_threshold=[1.0]),
    "config: flags in words": config("batch_leak", "'no'", "true or false", batch_leak="no"),
    "config: no stages": config("stages", stages=[]),
    "config: stages that are none": config("not a configuration", stages=None),
    "config: a stage that is a number": config("not a configuration", stages=[7]),
    "config: too many blocks": config("depth", "1000000", "at most 256", stages=extended({"depth": 10**6})),
    "config: a layer called forward": config("name", "'a.b'", "letters", stages=layered({"name": "a.b"})),
    "config: a layer of another field": config("layer", "'kernel'", stages=layered({"kernel": 5})),
    "config: two layers of one name": config("proj1", "name of its own", stages=layered({"name": "proj1"})),
    "config: a pool that is a method": config("pool", "'forward'", "ends in pool", stages=layered({"pool": "forward"})),
    "config: an attention that is a method": config(
        "attribute 'forward' already exists", stages=extended({"attention_name": "forward"})
    ),
    "config: an attention that is another part": config(
        "attention_name", "'mlp'", stages=extended({"attention_name": "mlp"})
    ),
    "config: layers of gigabytes": config("image_size", "2048", "at most 134,217,728", image_size=2048),
    "config: huge images": config("image_size", "at most 2,048", image_size=10**9),
    "config: markup and control characters": config("name", "printable", name="[/x]\x1b[2J"),
    "config: neither table nor list": text("configuration", "3", "must be a table"),
    "config: not JSON": text("configuration", "{", "cannot be read"),
    "config: too deep": text("configuration", DEEP, "too deeply"),
    "config: of too many digits": text("configuration", f'{{"name": {LONG}}}', "digits"),
    "config: a name that comes twice": text("configuration", '{"name": "a", "name": "b"}', "'name' comes twice"),
    "metadata: a list": text("metadata", "[1]", "must be a table"),
    "metadata: deep": text("metadata", NESTED, "50 deep"),
    "metadata: deeper": text("metadata", DEEP, "too deeply"),
    "metadata: of too many digits": text("metadata", f'{{"seed": {LONG}}}', "digits"),
    "header: not a table": header([1], "damaged"),
    "header: too deep": header(b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "not a whole safetensors file"),
    "header: longer than the file": header({}, "not a whole safetensors file", length=1 << 62),
    "header: of negative offsets": header({"a": entry([1], -4, 0)}, "not a whole safetensors file"),
    "header: of huge offsets": header({"a": entry([1 << 61], 0, 1 << 63)}, "not a whole safetensors file"),
    "header: of overlapping tensors": header(
        {"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, "not a whole safetensors file", held=b"1234"
    ),
    "header: a tensor twice": header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "'a' comes twice",
        held=b"1234",
    ),
    "header: metadata of numbers": header({"__metadata__": {"config": 1}}, "not a whole safetensors file"),
    "header: an unknown type": header({"a": entry([1], 0, 4) | {"dtype": "F31"}}, "not a whole safetensors file"),
    "pickle: a tensor larger than its storage": archive({"a": tensor(4, (10**9,))}, "damaged", members=FOUR),
    "pickle: one number, repeated": archive(
        {"a": tensor(4, (10**9,), stride=(0,))}, "'a' repeats values", members=FOUR
    ),
    "pickle: a storage that is not there": archive({"a": tensor(10**9, (10**9,))}, "damaged", members=FOUR),
    "pickle: an impossible storage": archive({"a": tensor(1 << 62, (4,))}, "impossible size", members=FOUR),
    "pickle: an impossible offset": archive({"a": tensor(4, (4,), offset=1 << 70)}, "impossible", members=FOUR),
    "pickle: a negative storage": archive({"a": tensor(-4, (4,))}, "x.pth", members=FOUR),
    "pickle: a zip bomb": archive(
        {"a": tensor(1 << 24, (1 << 24,))},
        "compressed",
        members={"0": b"\0" * (1 << 26)},
        compression=zipfile.ZIP_DEFLATED,
    ),
    "pickle: memory by the number": archive({"a": Call(bytearray, 10**10)}, "refused", "bytearray"),
    "pickle: a tensor by the number": archive({"a": Call(torch.Tensor, 10**10)}, "refused", "torch.Tensor"),
    "pickle: code": archive({"a": Call(os.mkdir, "ran")}, "refused", "mkdir"),
    "pickle: codecs": archive({"a": Call(__import__("_codecs").encode, b"a", "hex")}, "refused", "codecs"),
    "pickle: no end of lists": archive([[]], "damaged", pickled=b"\x80\x02" + b"]" * 9 + b"a" * 20 + b"."),
    "pickle: nested": archive(None, "nested more than 50", pickled=b"\x80\x02" + b"]" * 90 + b"a" * 89 + b"."),
    "pickle: a name of tuples": archive(
        None, "nested more than 50", pickled=b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s."
    ),
    "pickle: a name of tuples and numbers": archive(
        None, "nested more than 50", pickled=b"\x80\x02})" + b"K\x01\x86" * 500_000 + b"K\x01s."
    ),
    "pickle: another object": archive(None, "x.pth", pickled=b"\x80\x02cargparse\nNamespace\n)Rq\x00K\x01b."),
    "pickle: names that are numbers": archive({3: tensor(4, (4,))}, "3", "no name", members=FOUR),
    "pickle: sparse": archive(
        {HEAD: Call(torch._utils._rebuild_sparse_tensor, torch.sparse_coo, (INDEX, tensor(4, (1,)), (10**9,), False))},
        HEAD,
        "sparse_coo",
        members=FOUR | {"1": b"\0" * 16},
    ),
    "pickle: meta": archive(
        {HEAD: Call(torch._utils._rebuild_meta_tensor_no_storage, torch.float32, (10**12,), (1,), False)}, HEAD, "meta"
    ),
    "pickle: quantized": archive(
        {
            HEAD: Call(
                torch._utils._rebuild_qtensor,
                *(Storage(16, kind=torch.QInt8Storage), 0, (4,), (1,), (torch.per_tensor_affine, 0.1, 0)),
                *(False, collections.OrderedDict()),
            )
        },
        HEAD,
        "quantized",
        members=FOUR,
    ),
    "legacy: a storage that is not there": legacy({"a": tensor(10**9, (10**9,), legacy=True)}, "declares"),
    "legacy: more than memory": legacy({"a": tensor(10**14, (4,), legacy=True)}, "memory", keys=["0"]),
    "legacy: an impossible storage": legacy({"a": tensor(1 << 80, (4,), legacy=True)}, "impossible", keys=["0"]),
    "legacy: cut short": legacy({"a": tensor(10**8, (4,), legacy=True)}, "damaged", keys=["0"]),
    "file: empty": Case(("info", "x"), ("x", "damaged"), lambda folder: (folder / "x").touch()),
    "file: a folder": Case(("info", "x"), ("x", "is a folder"), lambda folder: (folder / "x").mkdir()),
    "file: a pipe": Case(("info", "x"), ("x", "device or pipe"), lambda folder: os.mkfifo(folder / "x")),
    "file: a device": Case(("info", "/dev/zero"), ("/dev/zero", "device or pipe")),
    "file: a link to itself": Case(("info", "x"), ("x",), lambda folder: (folder / "x").symlink_to("x")),
    "file: a name too long": Case(("info", "x" * 5000), ("too long",)),
    "file: nameless": Case(("info", ""), ("'': no such file",)),
}
THROUGH_COMMANDS = (
    "config: NaN tau",
    "metadata: deeper",
    "pickle: a zip bomb",
    "legacy: more than memory",
    "file: a pipe",
)


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_checkpoint(name, tmp_path, monkeypatch):
    """In this process: one error of ours that names what the line must name."""
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path)
    with pytest.raises((CheckpointError, OSError)) as raised:
        load_checkpoint(case.arguments[1])
    assert "\n" not in str(raised.value)
    for part in case.names:
        assert part in str(raised.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", [name if name in THROUGH_COMMANDS else pytest.param(name, marks=pytest.mark.long) for name in CASES]
)
def test_a_hostile_checkpoint_through_a_command(name, check):
    check(CASES[name])


def test_metadata_are_printed_as_they_are(command, tmp_path):
    """Markup, control characters and half of a character of UTF-16, in names and values."""
    hostile = {"[/x]": "[bold", "note": "[link=https://x]", "bell\x07": "\x1b[2J", "half": "\ud800"}
    write_weights(tmp_path / "x", metadata=hostile)
    outcome = command("info", "x")
    assert outcome.status == 0, outcome
    for part in ("[/x]", "[bold", "[link=https://x]", "bell\\x07", "\\x1b[2J", "\\ud800"):
        assert part in outcome.out


def test_what_would_take_gigabytes_to_describe_is_described_without(command, tmp_path):
    write_weights(tmp_path / "x", config=described(image_size=300))
    outcome = command("info", "x")
    assert outcome.status == 0, outcome
    assert outcome.peak < MOST_MEMORY
    assert "none: a layer has" in outcome.out


def test_plain_data_of_training_scripts_are_read_by_functions_of_our_own(tmp_path):
    """NumPy's would make types and scalars of any size."""
    import numpy as np

    path = write_zip(tmp_path / "x.pth", {"model": {}, "metric": Call(np.dtype, "S1000000000", False, True)})
    with pytest.raises(CheckpointError, match="a NumPy scalar of kind"):
        inspect_checkpoint(path)


def test_a_pickle_longer_than_any(tmp_path, monkeypatch):
    monkeypatch.setattr("qkformer.checkpoints.pickle_scan.MOST_PICKLE", 1000)
    path = write_zip(tmp_path / "x.pth", None, pickled=dumps([0.5] * 1000))
    with pytest.raises(CheckpointError, match="its pickle is longer"):
        inspect_checkpoint(path)
