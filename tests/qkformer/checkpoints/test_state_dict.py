import argparse
import os

import numpy as np
import pytest
import safetensors.torch
import torch

from qkformer import CheckpointError
from qkformer.checkpoints.state_dict import differences, read_state_dict

WEIGHTS = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2)}


def prefixed(tensors):
    return {f"module.{key}": tensor for key, tensor in tensors.items()}


@pytest.mark.parametrize("suffix", ["pth", "pth.tar"])
@pytest.mark.parametrize(
    ("contents", "layout"),
    [
        (WEIGHTS, "pickle"),
        (prefixed(WEIGHTS), "pickle, with prefix 'module.'"),
        ({"model": WEIGHTS, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, "pickle, wrapped as 'model'"),
        (
            {"state_dict": prefixed(WEIGHTS), "optimizer": {"state": {}}, "metric": np.float64(96.1)},
            "pickle, wrapped as 'state_dict', with prefix 'module.'",
        ),
    ],
)
def test_weights_are_found_however_they_were_packed(tmp_path, suffix, contents, layout):
    path = tmp_path / f"released.{suffix}"
    torch.save(contents, path, _use_new_zipfile_serialization=suffix == "pth")
    found = read_state_dict(path)
    assert found.layout == layout
    assert not differences(WEIGHTS, found.tensors)
    assert all(torch.equal(found.tensors[key], tensor) for key, tensor in WEIGHTS.items())


def test_safetensors_are_told_by_content_not_by_name(tmp_path):
    path = tmp_path / "weights.pth"
    safetensors.torch.save_file(prefixed(WEIGHTS), path, {"note": "kept"})
    found = read_state_dict(path)
    assert found.layout == "safetensors, with prefix 'module.'"
    assert found.header == {"note": "kept"}
    assert set(found.tensors) == set(WEIGHTS)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, zipped):
    path, target = tmp_path / "evil.pth", tmp_path / "proof"
    torch.save({"model": WEIGHTS, "extra": Malicious(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil.pth: refused, because it asks to run \w+.mkdir; a") as raised:
        read_state_dict(path)
    assert not target.exists()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("length", [0, 5, 100, 700])
def test_a_file_cut_short_is_refused(tmp_path, length):
    path = tmp_path / "short.pth"
    torch.save(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"short.pth: not a checkpoint, or damaged") as raised:
        read_state_dict(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([1, 2], "holds no state dict, but a list"),
        ({}, "holds no state dict, but a dict"),
        ({"epoch": 3}, "holds no state dict: 'epoch' is a int, not a tensor"),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path, contents, message):
    torch.save(contents, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(tmp_path / "other.pth")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none.pth: No such file"):
        read_state_dict(tmp_path / "none.pth")


def test_differences_are_counted_and_the_first_named():
    found = {f"tail.{i}": torch.zeros(1) for i in range(5)} | {"head.weight": torch.zeros(4, 3)}
    assert differences(WEIGHTS, found) == (
        "1 missing (head.bias); 5 unexpected (tail.0, tail.1, tail.2 and 2 more); "
        "1 of another shape (head.weight is [4, 3] instead of [2, 3])"
    )
    assert differences(WEIGHTS, dict(WEIGHTS)) == ""
