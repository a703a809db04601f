import copy

import pytest
import torch

import export
from export.ladder.flips import trace_flips
from qkformer import load_digits, record_spikes


@pytest.fixture(scope="module")
def images():
    return load_digits("test")[0][:4]


def flips_of(model, fixed, images):
    """The flips by population."""
    with torch.no_grad(), record_spikes(model) as trace:
        model(images)
    folded = export.fold_model(model)
    return {
        layer.name: layer for layer in trace_flips(folded, fixed, images, trace, export.reference_trace(fixed, images))
    }


@pytest.fixture(scope="module")
def flips(digits, fixed_digits, images):
    return flips_of(digits, fixed_digits, images)


def test_every_flip_is_within_rounding(flips):
    assert sum(layer.originated for layer in flips.values()) > 100
    for layer in flips.values():
        assert layer.unexplained == 0
        assert layer.explained == layer.first <= layer.originated <= layer.spikes


def test_the_first_layer_inherits_nothing(flips):
    first = flips["patch_embed1.proj_lif"]
    assert first.flips == first.originated > 0


@pytest.mark.parametrize("name", ["stage1.0.tssa.attn_lif", "stage1.0.tssa.mask", "patch_embed2.proj4_maxpool"])
def test_gates_masks_and_pools_only_inherit(flips, name):
    assert flips[name].originated == 0
    assert flips[name].flips > 0


def test_a_coarse_layer_originates_the_most(digits, fixed_digits, images):
    """A layer of a tenth of the levels: its flips are many more, and still rounding's."""
    model = copy.deepcopy(digits)
    conv = model.get_submodule("stage1.0.mlp.mlp1_conv")
    with torch.no_grad():
        conv.weight[0, 0] *= 10 * conv.weight.abs().max() / conv.weight[0, 0].abs()
    flips = flips_of(model, export.quantize(model, load_digits("train")[0]), images)
    most = max(flips.values(), key=lambda layer: layer.originated / layer.spikes)
    assert most.name == "stage1.0.mlp.mlp1_lif"
    assert all(layer.unexplained == 0 for layer in flips.values())


@pytest.mark.parametrize("change", ["weight", "bias", "threshold", "decay"])
def test_wrong_numbers_are_more_than_rounding(change, digits, fixed_digits, images):
    fixed = copy.deepcopy(fixed_digits)
    name = "stage1.0.tssa.k"
    conv, lif = fixed.get_submodule(f"{name}_conv"), fixed.get_submodule(f"{name}_lif")
    if change == "weight":
        conv.weight[:, :] = conv.weight.roll(1, 0)
    elif change == "bias":
        conv.bias += 60
    elif change == "threshold":
        lif.threshold -= 60
    else:
        lif.decay = 0
    flips = flips_of(digits, fixed, images)
    assert [layer.name for layer in flips.values() if layer.unexplained] == [f"{name}_lif"]
