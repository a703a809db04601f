"""Checkpoints that are nearly right, by the hundred: read, or refused in one line; never anything else."""

import io
import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from amount import random_examples
from hostile.case import check_promises
from hostile.checkpoints.files import described, weights, write_header, write_legacy, write_weights, write_zip
from hostile.checkpoints.shapes_of_files import PICKLED, VALUES, changed, cut_up
from hypothesis import given
from hypothesis import strategies as st

from hardware.errors import UserError
from qkformer import inspect_checkpoint, load_checkpoint
from qkformer.checkpoints.state_dict import read_state_dict

MOST_MESSAGE = 2000  # characters
SMALL = {"module.a": torch.ones(2, 2), "module.b": torch.zeros(3, dtype=torch.int64)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "x"


def read(path, reader=load_checkpoint):
    """A file is read, or refused in one line of bearable length."""
    reason = ""
    try:
        reader(path)
    except (UserError, OSError) as error:
        reason = str(error)
    assert "\n" not in reason
    assert len(reason) < MOST_MESSAGE


@given(changed(described()))
@random_examples(150, 15)
def test_configurations(place, config):
    read(write_weights(place, config=json.dumps(config)))


@given(VALUES | changed({"seed": 0, "accuracy": 0.5, "recipe": {"epochs": 3}}))
@random_examples(50, 5)
def test_metadata(place, metadata):
    read(write_weights(place, metadata=json.dumps(metadata)), inspect_checkpoint)


def headed():
    """The header of a whole file of safetensors, and what comes behind it."""
    whole = safetensors.torch.save(SMALL, {"note": "small"})
    (length,) = struct.unpack("<Q", whole[:8])
    return json.loads(whole[8 : 8 + length]), whole[8 + length :]


@given(changed(headed()[0]), st.sampled_from([None, 0, 1 << 62]))
@random_examples(150, 15)
def test_headers(place, header, length):
    read(write_header(place, json.dumps(header).encode(), headed()[1], length), read_state_dict)


@given(PICKLED, st.booleans())
@random_examples(200, 15)
def test_pickles(place, contents, wrapped):
    held = {"0": b"\0" * 16, "1": b"\0" * 8}
    for write, options in (write_zip, {"members": held}), (write_legacy, {"keys": ["0"], "held": b"\4" + b"\0" * 23}):
        try:
            write(place, {"model": {"a": contents}} if wrapped else contents, **options)
        except (TypeError, OverflowError, ValueError, UnicodeEncodeError):  # what not even a pickle can hold
            continue
        read(place, read_state_dict)


def whole(kind):
    if kind == "safetensors":
        return safetensors.torch.save(SMALL, {"config": json.dumps(described())})
    file = io.BytesIO()
    torch.save({"model": SMALL, "epoch": 3}, file, _use_new_zipfile_serialization=kind == "zip")
    return file.getvalue()


@given(st.data())
@random_examples(200, 15)
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_bytes(place, kind, data):
    place.write_bytes(data.draw(cut_up(whole(kind))))
    read(place, read_state_dict)


@pytest.mark.long
@given(changed(described()) | changed({"tensors": 0}).map(lambda _: described()), st.data())
@random_examples(40)
def test_checkpoints_through_a_command(command_server, tmp_path_factory, config, data):
    """Whatever is read must be shown: the memory is held against its bound, too."""
    folder: Path = tmp_path_factory.mktemp("command")
    tensors = data.draw(changed(dict.fromkeys(weights(), 0)))

    def change(found):
        for name in list(found):
            if name not in tensors:
                del found[name]

    write_weights(folder / "x", change, config=json.dumps(config), metadata=json.dumps(data.draw(VALUES)))
    request = {"arguments": ["info", "x"], "folder": str(folder), "environment": {}, "patience": 60}
    from hostile.case import Outcome

    print(json.dumps(request), file=command_server.stdin, flush=True)
    check_promises(Outcome(**json.loads(command_server.stdout.readline())))


def test_a_reason_that_repeats_the_file_is_cut(tmp_path):
    """zipfile says both names of a member whose two headers disagree, whole."""
    path = write_zip(tmp_path / "x", weights())
    content = bytearray(path.read_bytes())
    start = content.index(b"archive/data.pkl")
    content[start - 4 : start - 2] = (3000).to_bytes(2, "little")  # the length of the name in the first header
    path.write_bytes(content + bytes(4000))
    with pytest.raises(UserError) as raised:
        load_checkpoint(path)
    assert len(str(raised.value)) < 600
