import numpy as np
import pytest
import torch

from qkformer import create_model, record_spikes


def test_the_state_dict_has_the_published_keys_and_shapes(golden, keys_of):
    with torch.device("meta"):
        model = create_model(keys_of)
    found = {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in model.state_dict().items()}
    assert found == golden.keys(keys_of)


@pytest.fixture
def loaded(golden):
    def load(name, **overrides):
        model = create_model(name, **overrides)
        model.load_state_dict(golden.state_dict(name))
        return model.eval()

    return load


@torch.no_grad()
def test_it_computes_what_the_published_code_computes(golden, loaded, outputs_of):
    expected, model, images = golden.outputs(outputs_of), loaded(outputs_of), golden.images(outputs_of)
    with record_spikes(model) as trace:
        logits = torch.cat([model(image) for image in images.split(1)])
    np.testing.assert_allclose(logits, expected["logits_single"], atol=1e-3, rtol=0)
    populations = [key.removeprefix("spikes/") for key in expected if key.startswith("spikes/")]
    assert len(populations) > 20
    for population in populations:
        spikes = trace[population].astype(np.int64)
        counts, published = spikes.reshape(*spikes.shape[:2], -1).sum(2).T, expected[f"spikes/{population}"]
        assert np.abs(counts - published).sum() <= 0.001 * published.sum(), population


@torch.no_grad()
def test_a_batch_at_once_is_as_published_only_with_the_leak(golden, loaded, outputs_of):
    expected, images = golden.outputs(outputs_of), golden.images(outputs_of)
    leaking, apart = (loaded(outputs_of, batch_leak=leak)(images) for leak in (True, False))
    np.testing.assert_allclose(leaking, expected["logits_batched"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(apart, expected["logits_single"], atol=1e-3, rtol=0)
