import numpy as np
import pytest
import torch

from export import FixedModel
from export.network.fixed_layers import FixedConv, FixedLIF, Gate, Readout
from hardware import Encoding
from hardware.errors import InputError


def small_model():
    """Two gates in a chain, a head that reads both."""
    fixed = FixedModel(Encoding("small", (1, 2, 2), time_steps=3, input_scale=0.5, logit_scale=0.25))
    fixed.add("stage1.0.a", Gate(0), "input")
    fixed.add("stage1.0.b", Gate(0), "stage1.0.a")
    fixed.add("output", Readout(torch.tensor([[2], [-1]]), torch.tensor([1, 0])), ["stage1.0.a", "stage1.0.b"])
    return fixed


def test_names_are_module_paths():
    fixed = small_model()
    assert [node.name for node in fixed.nodes] == ["stage1.0.a", "stage1.0.b", "output"]
    assert fixed.get_submodule("stage1.0.b").threshold == 0


def test_run_sums_the_sources_of_an_argument():
    inputs = np.array([1, 0, 0, 3]).reshape(1, 1, 1, 2, 2)
    assert small_model().run(inputs).tolist() == [[[2 * 4 + 1, -4]]]


def test_logits_sum_over_time():
    images = torch.tensor([1.0, -1.0, 0.2, 0.0]).view(1, 1, 2, 2)
    assert small_model()(images).tolist() == [[0.25 * 3 * (2 * 2 + 1), 0.25 * 3 * -2]]


def test_autocast_changes_nothing():
    fixed = FixedModel(Encoding("wide", (8, 5, 5), time_steps=2))
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (16, 8, 3, 3), generator=generator)
    fixed.add("output", FixedConv(weight, torch.zeros(16), (1, 1), (1, 1)), "input")
    inputs = np.random.default_rng(0).integers(-127, 128, (2, 3, 8, 5, 5))
    expected = fixed.run(inputs)
    assert expected.abs().max() > 2**12  # bfloat16 holds 8 bits
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fixed.run(inputs), expected)


def test_inputs_are_not_changed():
    inputs = np.ones((1, 1, 1, 2, 2), np.int8)
    small_model().run(inputs)
    assert (inputs == 1).all()


def test_shapes():
    fixed = FixedModel(Encoding("small", (2, 5, 6), time_steps=2))
    conv = FixedConv(torch.ones(3, 2, 3, 3), torch.zeros(3), (2, 1), (1, 0))
    fixed.add("lif", FixedLIF(0, 1), fixed.add("conv", conv, "input"))
    assert fixed.shapes() == {"input": (2, 5, 6), "conv": (3, 3, 4), "lif": (3, 3, 4)}


def test_names_that_do_not_fit(refuses):
    fixed = small_model()
    with refuses(InputError, "'stage1.0.a'", "already"):
        fixed.add("stage1.0.a", Gate(0), "input")
    with refuses(InputError, "'input'", "already"):
        fixed.add("input", Gate(0), "output")
    with refuses(InputError, "'new'", "'ghost'", "before"):
        fixed.add("new", Gate(0), ["input", "ghost"])


@pytest.mark.parametrize("images", [torch.zeros(1, 1, 2, 3), torch.full((1, 1, 2, 2), torch.nan)])
def test_images_that_do_not_fit(refuses, images):
    with refuses(InputError, "small"):
        small_model()(images)
