import numpy as np
import pytest
import torch
from torch import nn

from qkformer import Population, create_model, record_spikes


class Counter(Population):
    def forward(self, x):
        return x.round()


def test_calls_are_joined_along_the_batch_in_the_smallest_type():
    model = nn.Sequential(Counter(), nn.Identity())
    first, second = torch.full((4, 2, 3), 127.0), torch.full((4, 1, 3), 128.0)
    with record_spikes(model) as trace:
        model(first)
    assert trace["0"].dtype == np.int8
    with record_spikes(model) as trace:
        model(first)
        model(second)
    assert list(trace) == ["0"]
    assert trace["0"].dtype == np.int32
    np.testing.assert_array_equal(trace["0"], torch.cat([first, second], dim=1).numpy())


def test_what_is_not_a_count_is_not_recorded_as_one():
    class Current(Population):
        def forward(self, x):
            return x * 0.5

    model = nn.Sequential(Current())
    with record_spikes(model), pytest.raises(ValueError, match="0 emitted values that are not integers"):
        model(torch.ones(4, 1, 2))


def test_no_hook_is_left_behind():
    model = Counter()
    with pytest.raises(RuntimeError, match="on purpose"), record_spikes(model):
        raise RuntimeError("on purpose")
    assert not model._forward_hooks


def test_every_population_of_a_model_by_module_path():
    model = create_model("qkformer-digits").eval()
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad(), record_spikes(model) as trace:
        recorded = model(images)
    with torch.no_grad():
        assert torch.equal(recorded, model(images))
    assert set(trace) == {name for name, module in model.named_modules() if isinstance(module, Population)}
    assert trace["stage1.0.tssa.attn_lif"].shape == (4, 3, 8, 8, 8)
    assert trace["stage1.0.tssa.mask"].shape == (4, 3, 64, 8, 8)
    assert trace["stage2.0.cssa.attn_lif"].shape == (4, 3, 128, 1, 1)
    assert trace["patch_embed2.proj4_lif"].shape == (4, 3, 128, 8, 8)
    assert trace["patch_embed2.proj4_maxpool"].shape == (4, 3, 128, 4, 4)
