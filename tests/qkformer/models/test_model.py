import pytest
import torch
from torch import nn

from qkformer import create_model
from qkformer.models.layers import Layered


def test_the_deployable_digits_model_is_small():
    model = create_model("qkformer-digits")
    assert sum(parameter.numel() for parameter in model.parameters()) == 288_234
    assert not any(isinstance(module, nn.MaxPool2d) for module in model.modules())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 9, 9), r"qkformer-digits takes \[B, 1, 8, 8\] with B >= 1; got \[2, 1, 9, 9\]"),
        (torch.zeros(2, 3, 8, 8), r"takes \[B, 1, 8, 8\] with B >= 1; got \[2, 3, 8, 8\]"),
        (torch.zeros(1, 8, 8), r"got \[1, 8, 8\]"),
        (torch.zeros(0, 1, 8, 8), r"with B >= 1; got \[0, 1, 8, 8\]"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"takes torch.float32 images; got torch.uint8"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        create_model("qkformer-digits")(images)


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    model = create_model("qkformer-digits").eval()
    images = torch.rand(5, 1, 8, 8) * 4
    alone = torch.cat([model(image) for image in images.split(1)])
    torch.testing.assert_close(model(images), alone, atol=1e-5, rtol=0)


def test_every_weight_is_reached_by_the_gradient():
    torch.manual_seed(0)
    model = create_model("qkformer-digits")
    model(torch.rand(8, 1, 8, 8) * 4).square().sum().backward()
    assert not [name for name, parameter in model.named_parameters() if not parameter.grad.any()]


def test_layers_lists_every_convolution_with_its_paths():
    model = create_model("qkformer-digits")
    found = set()
    for path, module in model.named_modules():
        if isinstance(module, Layered):
            for layer in module.layers():
                assert module.get_submodule(layer.conv_path) is layer.conv
                assert module.get_submodule(layer.bn_path) is layer.bn
                assert module.get_submodule(layer.lif_path) is layer.lif
                found.add(f"{path}.{layer.conv_path}")
    convolutions = {name for name, module in model.named_modules() if isinstance(module, (nn.Conv1d, nn.Conv2d))}
    assert found == convolutions
    assert len(found) == 16


def test_the_shortcut_starts_where_the_configuration_says():
    first, second = (stage.embed for stage in create_model("qkformer-digits").stages())
    assert (first.main, first.shortcut.name, first.shortcut_from) == (("proj", "proj1"), "proj_res", 0)
    assert (second.main, second.shortcut_from, second.shortcut.conv.stride) == (("proj3", "proj4"), -1, (2, 2))
    assert second.layer("proj4").pool_path == "proj4_maxpool"
    assert second.layer("proj4").pool_after_lif
