import pytest
import safetensors.torch
import torch

from qkformer import CheckpointError, get_config, inspect_checkpoint, load_checkpoint
from qkformer.checkpoints.recognize import recognize


def shapes_only(golden, name):
    return {key: torch.empty(shape, dtype=dtype, device="meta") for key, (shape, dtype) in golden.keys(name).items()}


def test_every_published_state_dict_is_recognized(golden, keys_of):
    assert recognize(shapes_only(golden, keys_of), "file") == get_config(keys_of)


def same_weights(model, published):
    """What a model of these weights computes is held against the published code in models/test_published_models.py."""
    found = model.state_dict()
    assert found.keys() == published.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in published.items())


def test_a_released_file_loads(golden, tmp_path):
    name, path = "spikformer-4-384", tmp_path / "model_best.pth.tar"
    torch.save({"state_dict": {f"module.{key}": value for key, value in golden.state_dict(name).items()}}, path)
    info = inspect_checkpoint(path)
    assert (info.config.name, info.recognized, dict(info.metadata)) == (name, True, {})
    assert info.layout == "pickle, wrapped as 'state_dict', with prefix 'module.'"
    model, config = load_checkpoint(path)
    assert config == get_config(name)
    assert not model.training
    same_weights(model, golden.state_dict(name))


def test_a_published_file_can_be_run_as_published(golden, tmp_path):
    name, path = "qkformer-cifar10", tmp_path / "checkpoint.safetensors"
    safetensors.torch.save_file(golden.state_dict(name), path)
    model, config = load_checkpoint(path, batch_leak=True)
    assert config.batch_leak
    assert model.get_submodule("stage3.0.ssa.proj_lif").batch_leak
    same_weights(model, golden.state_dict(name))


@pytest.mark.long
def test_an_unknown_state_dict_is_compared_with_the_nearest(golden):
    tensors = shapes_only(golden, "qkformer-cifar10")
    del tensors["stage3.1.ssa.v_bn.bias"]
    tensors["head.weight"], tensors["head.bias"] = torch.empty(7, 384), torch.empty(7)
    tensors["teacher"] = torch.empty(1)
    with pytest.raises(CheckpointError) as raised:
        recognize(tensors, "own.pth")
    assert str(raised.value) == (
        "own.pth: no configuration has these weights; nearest is qkformer-cifar10: "
        "1 missing (stage3.1.ssa.v_bn.bias); 1 unexpected (teacher); "
        "2 of another shape (head.weight is [7, 384] instead of [10, 384], head.bias is [7] instead of [10])"
    )
