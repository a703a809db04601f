import os

import pytest
import safetensors.torch
import torch

from qkformer import (
    CheckpointError,
    create_model,
    evaluate,
    get_config,
    load_checkpoint,
    load_digits,
    read_metadata,
    save_checkpoint,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("qkformer-digits")


def test_what_is_saved_is_what_is_loaded(model, tmp_path):
    path = save_checkpoint(model, tmp_path / "new" / "model.safetensors", seed=7, command="qkformer train")
    restored, config = load_checkpoint(path)
    assert config == model.config
    assert not restored.training
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, restored.state_dict()[key]), key
    metadata = read_metadata(path)
    assert (metadata["seed"], metadata["command"]) == (7, "qkformer train")
    assert metadata["versions"]["torch"] == torch.__version__


def test_a_failed_write_leaves_the_old_file_and_nothing_else(model, tmp_path, monkeypatch):
    path = save_checkpoint(model, tmp_path / "model.safetensors")
    before = path.read_bytes()

    def fail(tensors, file, header):
        file.write_bytes(b"half of i")
        raise KeyboardInterrupt

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(model, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_missing_file_is_named_with_the_shipped_ones(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"no-such: no such file; checkpoints shipped by name are .*qkformer-digits"
    ):
        load_checkpoint("no-such")
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "qkformer-digits")


def test_a_truncated_or_foreign_file_is_refused(model, tmp_path):
    path = save_checkpoint(model, tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a whole safetensors file") as raised:
        load_checkpoint(path)
    assert "\n" not in str(raised.value)
    path.write_bytes(b"\x89PNG not a checkpoint at all")
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a"):
        load_checkpoint(path)


def saved_with(path, model, change):
    tensors = model.state_dict()
    change(tensors)
    save_checkpoint(model, path)
    with safetensors.safe_open(path, framework="pt") as file:
        header = file.metadata()
    safetensors.torch.save_file(tensors, path, header)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("head.bias"), r"1 missing \(head.bias\)"),
        (lambda tensors: tensors.update(tail=torch.zeros(1)), r"1 unexpected \(tail\)"),
        (
            lambda tensors: tensors.update({"head.weight": torch.zeros(3, 2)}),
            r"1 of another shape \(head.weight is \[3, 2\] instead of \[10, 128\]\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(model, tmp_path, change, message):
    path = saved_with(tmp_path / "model.safetensors", model, change)
    with pytest.raises(CheckpointError, match=f"does not fit qkformer-digits: {message}") as raised:
        load_checkpoint(path)
    assert "\n" not in str(raised.value)


def test_a_configuration_of_another_version_is_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(model.state_dict(), path, {"config": '{"name": "x"}'})
    with pytest.raises(CheckpointError, match="its configuration cannot be read: not a configuration of this version"):
        load_checkpoint(path)


def test_the_shipped_digits_model_is_as_accurate_as_it_says():
    model, config = load_checkpoint("qkformer-digits")
    assert config == get_config("qkformer-digits")
    accuracy = evaluate(model, *load_digits("test"))
    assert accuracy >= 0.98
    metadata = read_metadata("qkformer-digits")
    assert metadata["accuracy"] == pytest.approx(accuracy, abs=1 / 360)
    assert metadata["recipe"]["seed"] == 0
    assert "train" in metadata["command"]
