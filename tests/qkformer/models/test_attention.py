import pytest
import torch

from qkformer import get_config, record_spikes
from qkformer.models.attention import ATTENTIONS
from qkformer.models.config import EmbedLayer, PatchEmbedConfig, StageConfig
from qkformer.models.logic import Mask

HEADS, CHANNELS, STEPS = 2, 8, 4


def attention(kind: str, **overrides):
    torch.manual_seed(3)
    config = get_config("qkformer-digits").replace(**overrides)
    embed = PatchEmbedConfig((EmbedLayer("proj", CHANNELS),))
    module = ATTENTIONS[kind](config, StageConfig(embed, CHANNELS, 1, HEADS, kind, "attn", 1)).eval()
    for layer in module.layers():
        torch.nn.init.uniform_(layer.bn.weight, 1.0, 2.0)
        torch.nn.init.uniform_(layer.bn.bias, -2.0, 3.0)
    return module


def spikes(batch=2, size=3):
    return torch.bernoulli(torch.full((STEPS, batch, CHANNELS, size, size), 0.4))


@torch.no_grad()
def populations(module, x):
    with record_spikes(module) as trace:
        out = module(x)
    return out, {name: torch.from_numpy(trace[name]).float() for name in trace}


def test_token_attention_gates_the_keys_of_each_token_by_head():
    module = attention("token")
    _, trace = populations(module, spikes())
    assert trace["attn_lif"].shape == (STEPS, 2, HEADS, 3, 3)
    for head in range(HEADS):
        channels = slice(head * CHANNELS // HEADS, (head + 1) * CHANNELS // HEADS)
        queries = trace["q_lif"][:, :, channels].sum(2)
        # tau 2 and threshold 0.5: any spike at all fires, and no charge is left over.
        assert torch.equal(trace["attn_lif"][:, :, head], (queries > 0).float())
        gated = trace["attn_lif"][:, :, head : head + 1] * trace["k_lif"][:, :, channels]
        assert torch.equal(trace["mask"][:, :, channels], gated)
    assert 0 < trace["mask"].sum() < trace["k_lif"].sum()


def test_channel_attention_gates_whole_channels():
    module = attention("channel")
    _, trace = populations(module, spikes())
    assert trace["attn_lif"].shape == (STEPS, 2, CHANNELS, 1, 1)
    queries = trace["q_lif"].sum((3, 4), keepdim=True)
    assert torch.equal(trace["attn_lif"], (queries > 0).float())
    assert torch.equal(trace["mask"], trace["attn_lif"] * trace["k_lif"])
    assert 0 < trace["mask"].sum() < trace["k_lif"].sum()


def test_self_attention_is_the_product_of_three_spike_matrices():
    module = attention("self", attention_scale=0.25)
    _, trace = populations(module, spikes())
    mixed = torch.zeros_like(trace["q_lif"])
    for head in range(HEADS):
        channels = slice(head * CHANNELS // HEADS, (head + 1) * CHANNELS // HEADS)
        q, k, v = (trace[f"{name}_lif"][:, :, channels].flatten(3).transpose(2, 3) for name in "qkv")
        product = (q @ k.transpose(2, 3)) @ v
        mixed[:, :, channels] = product.transpose(2, 3).unflatten(3, mixed.shape[3:])
    assert torch.equal(trace["attn_lif"], module.attn_lif(mixed * 0.25))
    assert 0 < trace["attn_lif"].mean() < 1


def test_every_attention_ends_in_spikes_of_the_input_shape():
    for kind in ATTENTIONS:
        x = spikes()
        out, trace = populations(attention(kind), x)
        assert out.shape == x.shape
        assert torch.equal(out, trace["proj_lif"])
        assert set(out.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("attention_shape", "ones"), [((1, 1, 2, 2, 2), 1), ((1, 1, 8, 1, 1), 4)])
def test_the_mask_broadcasts(attention_shape, ones):
    keys = torch.ones(1, 1, 8, 2, 2)
    gate = torch.zeros(attention_shape)
    gate[0, 0, 1, 0, 0] = 1
    masked = Mask()(gate, keys)
    assert masked.shape == keys.shape
    assert masked.sum() == 4
    assert (masked[0, 0].sum(0) > 0).sum() == ones


def test_only_the_published_self_attention_leaks_between_samples():
    x = spikes(batch=3)
    for leak in (False, True):
        module = attention("self", batch_leak=leak)
        with torch.no_grad():
            together = module(x)
            alone = torch.cat([module(sample) for sample in x.split(1, dim=1)], dim=1)
        assert torch.equal(together, alone) is not leak
